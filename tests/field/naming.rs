//! Names and ids: what a peer chooses never competes with what identifies.
