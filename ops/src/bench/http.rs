//! A lean HTTP/1.1 client: on two cores the load must not cost more than the server it loads.

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One kept-alive connection.
pub struct Connection {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to `http://host:port`.
    pub async fn open(url: &str) -> anyhow::Result<Connection> {
        let host = url.strip_prefix("http://").context("only http")?.split('/').next().unwrap_or_default().to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, host, buffer: Vec::with_capacity(4096) })
    }

    /// Posts a JSON body with these headers; the answer's status.
    pub async fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> anyhow::Result<u16> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
            self.host,
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> anyhow::Result<u16> {
        self.buffer.clear();
        let (head, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break (end + 4, content_length(&self.buffer[..end])?);
            }
        };
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection inside an answer");
            }
        }
        let status = self.buffer.get(9..12).and_then(|b| std::str::from_utf8(b).ok()).and_then(|t| t.parse().ok());
        status.context("an answer without a status")
    }
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?.to_ascii_lowercase();
    let line = head.lines().find_map(|l| l.strip_prefix("content-length:")).context("an answer without a length")?;
    Ok(line.trim().parse()?)
}
