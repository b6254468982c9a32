//! Whole crawls against a server on loopback and a catalogue in memory.

mod corpus;
mod lists;
mod server;
mod sites;
mod twin;
