//! Stream Initiation over a ladder of transports.
