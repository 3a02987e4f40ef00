//! Tests of both machines: each alone, against each other, and against the docs.

mod receiver;
mod sender;
mod simulation;
mod table;
