//! Tests of both machines: against each other, and against the docs.

mod simulation;
mod table;
