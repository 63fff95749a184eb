//! The actors: who owns whom, and for how long.
