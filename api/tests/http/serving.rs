//! Real connections: the head of a request must arrive in time, and a stop lets answers out.

use super::support::House;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

async fn start(house: &House) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = clawr_api::serve(listener, house.app.clone(), async { drop(stopped.await) });
    (address, stop, tokio::spawn(serving))
}

/// What comes until the other side closes, in whatever way.
async fn exchange(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_stop_lets_an_answer_out_and_takes_no_more() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let made = house.post("/v1/jobs", &key, json!({"kind": "chaos_sleep", "args": {"ms": 1}})).await;
    let (address, stop, serving) = start(&house).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text =
        format!("GET /v1/jobs/{}?wait=60s HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n", made.body["id"].as_str().unwrap());
    stream.write_all(text.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    house.api.drain();
    stop.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"state\":\"available\""), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_head_that_does_not_arrive_ends_its_connection() {
    let house = House::new().await;
    let (address, _stop, _serving) = start(&house).await;
    let slow = async |text: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        exchange(&mut stream, text).await
    };
    // half a head, nothing, and two beginnings that may yet become HTTP/2
    let all = async { tokio::join!(slow("GET /healthz HTTP/1.1\r\nhost: x\r\n"), slow(""), slow("PRI * HT"), slow("P")) };
    let answers = tokio::time::timeout(Duration::from_secs(15), all).await.expect("closed after 10 s");
    assert!(answers.1.is_empty() && answers.2.is_empty() && answers.3.is_empty());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
}
