//! Whole transfers.
