//! Whole crawls against a server on loopback and a catalogue in memory.

mod corpus;
mod dirty;
mod lists;
mod server;
mod sites;
mod twin;
