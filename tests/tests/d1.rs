//! D1: the fake and real workerd keep one contract, and the client does what it promises when answers go missing.
//!
//! The contract is one table of requests, sent in order to both sides; every answer must have the same status, success
//! flag, code, rows and classified error. Where they may differ, the table says why, and the test insists that they do.

#[path = "d1/client.rs"]
mod client;
#[path = "d1/contract.rs"]
mod contract;
#[path = "d1/gateway.rs"]
mod gateway;
