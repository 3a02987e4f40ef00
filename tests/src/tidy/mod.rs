//! Rules of the house, as tests. They read the sources as text; what they look for is written so that it does not find
//! itself.

mod arrows;
mod house;
mod page;
mod pure;
mod shared;
mod sources;
mod tables;
