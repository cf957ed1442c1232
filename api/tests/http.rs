//! The routes as a client sees them, over a SQLite store of their own. Every answer is compared with the document: its
//! status must be named there and its body must have the shape that is promised.

mod http {
    mod effects;
    mod encryption;
    mod groups;
    mod jobs;
    mod limits;
    mod manners;
    mod others;
    mod pages;
    mod pauses;
    mod schema;
    mod sequences;
    mod serving;
    mod settlements;
    mod signals;
    mod support;
}
