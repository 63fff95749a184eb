//! Stream Initiation and stream tubes on the wire, and their state machines.
