//! One suite for all stores. `CLAWR_TEST_STORES` says which; a behaviour is written once and every store earns it.

mod append_only;
mod cancel;
mod checkpoints;
mod commit;
mod effects;
mod explain;
mod explain_model;
mod groups;
mod limits;
mod lives;
mod lost_reply;
mod money;
mod notes;
mod outcome;
mod pauses;
mod payload;
mod plans;
mod portability;
mod queue;
mod rescue;
mod schema;
mod shares;
mod support;
mod unique;
mod unique_model;
mod waits;
