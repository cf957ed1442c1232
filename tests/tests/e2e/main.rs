//! The built binary end to end, as a dispatcher and an operator meet it.

mod cli;
mod dispatcher;
mod older;
mod recorded;
