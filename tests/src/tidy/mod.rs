//! The project's rules about its sources, as tests. They read the sources as text; their patterns are written so that
//! they do not match themselves.

mod arrows;
mod form;
mod house;
mod layers;
mod page;
mod pure;
mod shared;
mod sources;
mod tables;
