//! Support for the tests of the whole: private stores, the built binary as processes, recorded events.

pub mod binary;
pub mod d1_fake;
pub mod faketime;
pub mod fixtures;
pub mod marketplace;
pub mod postgres;
pub mod stores;
pub mod workerd;
pub mod workers;
