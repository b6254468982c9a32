//! Whole crawls against a server on loopback and a catalogue in memory.

mod archives;
mod busy;
mod corpus;
mod dirty;
mod ends;
mod hostile;
mod lists;
mod replay;
mod searches;
mod server;
mod sites;
mod twin;
