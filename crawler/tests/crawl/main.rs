//! Whole crawls against a server on loopback and a catalogue in memory.

mod archives;
mod corpus;
mod dirty;
mod lists;
mod searches;
mod server;
mod sites;
mod twin;
