//! From the text of an environment file to an `Environment`, or to everything that is wrong with it.

#[cfg(test)]
mod golden;
pub mod limits;
pub mod node;
pub mod python;
mod read;
mod template;
pub mod tree;
pub mod yaml;
