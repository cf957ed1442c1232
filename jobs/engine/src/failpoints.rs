//! Named crash points, compiled in only for tests. `lost_reply` makes a commit that succeeded answer `Unknown`, as a
//! connection lost during COMMIT does.

/// A point between two steps: `sleep(ms)` stops there, `return` ends the process there.
pub fn between(point: &str) {
    if fail::eval(point, |_| ()).is_some() {
        std::process::abort();
    }
}

/// True if the next commit's reply is to be lost (point `lost_reply`).
pub fn lost_reply() -> bool {
    fn check() -> Option<()> {
        fail::fail_point!("lost_reply", |_| Some(()));
        None
    }
    check().is_some()
}
