//! Jobs: made one by one or many at once, listed, looked at, waited for, retried, cancelled.
//!
//! In reading order: `asked` (what a caller may ask for), `make`, `filter` (the `q=` syntax), `look`, `explain`, `act`, `view`.

mod act;
mod asked;
mod explain;
mod filter;
mod logs;
mod look;
mod make;
mod replay;
mod view;

pub(crate) use act::open_job;

use crate::openapi::Doc;
use crate::routes::Route;
use clawr_engine::kind::{MayEnqueue, Policy};

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("jobs", summary);
    vec![
        Route::post(
            "/v1/jobs",
            make::one,
            doc("Make a job; the same key and content is the first job again")
                .needs("write")
                .with(&["IdempotencyKey", "TraceParent"])
                .takes("NewJob")
                .gives(202, "JobMade")
                .gives(200, "JobMade")
                .refuses(&[404, 409]),
        ),
        Route::get(
            "/v1/jobs",
            look::list,
            doc("Jobs, newest first").needs("read").with(&["Q", "Limit", "Cursor"]).gives(200, "JobList").refuses(&[404]),
        ),
        Route::post(
            "/v1/jobs/bulk",
            make::many,
            doc("Make up to 1,000 jobs in one commit; one result per row, in order")
                .needs("write")
                .with(&["IdempotencyKey", "TraceParent"])
                .takes("NewJobs")
                .gives(200, "JobsMade"),
        ),
        Route::get(
            "/v1/jobs/{id}",
            look::one,
            doc("A job's whole record; with wait, as soon as it has ended").needs("read").with(&["Wait"]).gives(200, "Job"),
        ),
        Route::get(
            "/v1/jobs/{id}/attempts",
            look::attempts,
            doc("The failed attempts that are kept, oldest first").needs("read").gives(200, "AttemptList"),
        ),
        Route::get(
            "/v1/jobs/{id}/logs",
            logs::logs,
            doc("What a job says of itself: its lines in order, and how far it is")
                .needs("read")
                .with(&["Limit", "Cursor"])
                .gives(200, "LogList"),
        ),
        Route::get(
            "/v1/jobs/{id}/explain",
            explain::explain,
            doc("Why a job has not run: the gates before it in order; or why it ran twice").needs("read").gives(200, "Explained"),
        ),
        Route::post(
            "/v1/jobs/{id}/retry",
            act::retry,
            doc("Run a dead, cancelled, waiting or quarantined job now")
                .needs("write")
                .may_take("Reason")
                .gives(200, "Job")
                .refuses(&[409]),
        ),
        Route::post(
            "/v1/jobs/{id}/run-now",
            act::run_now,
            doc("Run a scheduled job, or one that waits to try again, as soon as a slot is free")
                .needs("write")
                .may_take("Reason")
                .gives(200, "Job")
                .refuses(&[409]),
        ),
        Route::post(
            "/v1/jobs/{id}/replay",
            replay::replay,
            doc("Do the work of a job that has ended once more, as a new job; what it did outside is not done again")
                .needs("write")
                .with(&["IdempotencyKey"])
                .may_take("Reason")
                .gives(202, "JobMade")
                .gives(200, "JobMade")
                .refuses(&[409]),
        ),
        Route::delete(
            "/v1/jobs/{id}",
            act::erase,
            doc("Erase what an ended job was given and gave; its id, state, times and a digest stay")
                .needs("write")
                .gives(200, "Job")
                .refuses(&[409]),
        ),
        Route::post(
            "/v1/jobs/{id}/cancel",
            act::cancel,
            doc("End a job that does not run, or ask a running one to stop")
                .needs("write")
                .may_take("Reason")
                .gives(200, "Job")
                .gives(202, "Job")
                .refuses(&[409]),
        ),
    ]
}

/// Whether a credential may put jobs of a kind into the queue, by whatever route.
fn is_open(policy: &Policy, is_global: bool) -> bool {
    match policy.may_enqueue {
        MayEnqueue::Nobody => false,
        MayEnqueue::Global => is_global,
        MayEnqueue::Tenant => true,
    }
}
