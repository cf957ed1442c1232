//! Wake-ups between processes: NOTIFY from a side connection, coalesced with a trailing edge; LISTEN drained fully.

use crate::backoff::Backoff;
use crate::wake::Wakes;
use sqlx::postgres::{PgListener, PgPool};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;

/// At most one NOTIFY per queue and process in this time; what comes meanwhile is sent at its end.
const QUIET: Duration = Duration::from_millis(5);

pub(super) fn channel(schema: &str) -> String {
    format!("clawr_{schema}")
}

pub(super) fn start_notifier(pool: PgPool, channel: String) -> mpsc::UnboundedSender<String> {
    let (sender, mut inbox) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(first) = inbox.recv().await {
            let mut queues = BTreeSet::from([first]);
            while let Ok(queue) = inbox.try_recv() {
                queues.insert(queue);
            }
            for queue in &queues {
                let sent = sqlx::query("select pg_notify($1, $2)").bind(&channel).bind(queue).execute(&pool).await;
                if let Err(e) = sent {
                    tracing::debug!(queue, "failed to notify, the poll finds the job: {e}");
                }
            }
            tokio::time::sleep(QUIET).await;
        }
    });
    sender
}

pub(super) fn start_listener(pool: PgPool, channel: String, wakes: Wakes) {
    tokio::spawn(async move {
        let mut pause = Backoff::new(100, 5_000);
        while !pool.is_closed() {
            match hear(&pool, &channel, &wakes).await {
                Ok(()) => break,
                Err(_) if pool.is_closed() => break,
                Err(e) => tracing::warn!("lost the wake-up connection, polling meanwhile: {e}"),
            }
            tokio::time::sleep(pause.next()).await;
        }
    });
}

async fn hear(pool: &PgPool, channel: &str, wakes: &Wakes) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.ignore_pool_close_event(false);
    listener.listen(channel).await?;
    loop {
        wakes.wake_all();
        while let Some(notice) = listener.try_recv().await? {
            wakes.wake(notice.payload());
        }
    }
}
