//! From the text of an environment file to an `Environment`, or to everything that is wrong with it.

pub mod node;
