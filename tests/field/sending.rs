//! What is sent: paths, sizes, what is left out and how that is told.
