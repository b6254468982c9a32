//! A small web with known truth, served on loopback, for the demo and the tests.
