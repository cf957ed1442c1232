//! Connections: HTTP/1 and HTTP/2 on one port, bounded in number, with 10 s for a request's head, and a stop that lets
//! answers out.

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// How long the head of a request may take to arrive.
const HEAD_ARRIVAL: Duration = Duration::from_secs(10);
/// Connections beyond this wait to be accepted.
const CONNECTIONS_MAX: usize = 8_192;
/// How long answers on their way out are waited for after the stop.
const GRACE: Duration = Duration::from_secs(15);

/// Answers on `listener` until `stop`, then takes no more connections, lets requests in flight finish (15 s at most) and
/// returns. Errors of single connections end that connection only.
pub async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let (ending, _) = watch::channel(false);
    let builder = Arc::new(builder());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let service = TowerToHyperService::new(app.clone());
        let (builder, watcher, mut ended) = (builder.clone(), graceful.watcher(), ending.subscribe());
        tokio::spawn(async move {
            let speaks = tokio::select! {
                speaks = begins(&stream) => speaks,
                _ = ended.wait_for(|e| *e) => false,
            };
            if speaks {
                let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned());
                if let Err(error) = connection.await {
                    tracing::debug!("a connection ended: {error}");
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    ending.send_replace(true);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end within {} s", GRACE.as_secs());
    }
    Ok(())
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_ARRIVAL).max_headers(100).max_buf_size(65_536);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(16_384)
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Whether the client says within 10 s which version of HTTP it speaks. The server below has no time limit for that.
async fn begins(stream: &TcpStream) -> bool {
    const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let said = async {
        let mut seen = [0; PREFACE.len()];
        loop {
            match stream.peek(&mut seen).await {
                Ok(0) | Err(_) => return false,
                Ok(n) if n == PREFACE.len() || seen[..n] != PREFACE[..n] => return true,
                // so far it could be either, and a peek does not wait for more
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(HEAD_ARRIVAL, said).await.unwrap_or(false)
}

/// The next connection, once there is room for it. A failed accept (out of file descriptors) pauses instead of spinning.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            stream.set_nodelay(true).ok();
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!("failed to accept a connection: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}
