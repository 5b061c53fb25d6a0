//! What is wrong is told with its place, within a bounded time, before any connection is opened.

mod limits;
mod meaning;
mod template;
mod trap;
mod words;
mod yaml;
