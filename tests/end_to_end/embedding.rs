//! The library inside an actix-web server, whose runtimes have one thread each.

use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, rt, web};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tubes::Tubes;
use tubes_server::{Server, ServerKind};

use crate::stage::{self, Content, Family, Service, Shared, digest, echo, patiently, share};

// The example as it is, so that it cannot promise what does not work.
#[allow(dead_code, reason = "a test has a `main` of its own")]
#[path = "../../examples/web.rs"]
mod example;

#[test]
fn the_web_example_shows_live_connections_and_closes_tubes() {
    rt::System::new().block_on(stage::on(
        ServerKind::Embedded,
        shows_live_connections_and_closes_tubes,
    ));
}

#[test]
fn tubes_can_live_on_a_worker_of_actix_web() {
    rt::System::new().block_on(stage::on(ServerKind::Embedded, lives_on_a_worker));
}

async fn shows_live_connections_and_closes_tubes(server: &'static Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let shared = share(server, &service.address).await;
    let (address, handle) = serve(shared.fernand.tubes.clone());

    let mut program = shared.program().await;
    let said = Content::of(1, AMOUNT);
    let heard = exchange(&mut program, &said).await;
    assert_eq!(digest(&heard), digest(&said));

    // What a program has read is counted at once, but a moment later.
    let counted = async {
        loop {
            let tubes = list(address).await;
            if tubes[0]["connections"][0]["received"] == AMOUNT {
                break tubes;
            }
        }
    };
    let tubes = patiently("all of it is counted", counted).await;
    let tube = &tubes[0];
    assert_eq!(
        (&tube["service"], &tube["phase"]),
        (&"x-test".into(), &"open".into())
    );
    assert_eq!(tube["address"], shared.address.to_string());
    let connection = &tube["connections"][0];
    assert_eq!(connection["transport"], "ibb");
    assert_eq!(
        (&connection["sent"], &connection["received"]),
        (&AMOUNT.into(), &AMOUNT.into())
    );

    let path = format!("/tubes/{}", tube["id"].as_str().unwrap());
    assert_eq!(request(address, "DELETE", &path).await.0, 204);
    assert_eq!(list(address).await, Value::Array(Vec::new()));
    assert_eq!(request(address, "DELETE", &path).await.0, 404);
    handle.stop(true).await;
    shared.leave().await;
}

async fn lives_on_a_worker(server: &'static Server) {
    let worker = move || async move {
        let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        let shared: Shared = share(server, &service.address).await;
        let mut program = shared.program().await;
        let heard = exchange(&mut program, &Content::of(2, AMOUNT)).await;
        drop(program);
        shared.leave().await;
        digest(&heard)
    };
    let http = HttpServer::new(move || App::new().route("/", web::get().to(worker)))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = http.addrs()[0];
    let http = http.run();
    let handle = http.handle();
    rt::spawn(http);
    let (status, body) = request(address, "GET", "/").await;
    assert_eq!((status, body), (200, digest(&Content::of(2, AMOUNT))));
    handle.stop(true).await;
}

/// Serves the routes of the example.
fn serve(tubes: Tubes) -> (SocketAddr, ServerHandle) {
    let data = web::Data::new(tubes);
    let app = move || App::new().app_data(data.clone()).configure(example::routes);
    let http = HttpServer::new(app).workers(2).disable_signals();
    let http = http.bind("127.0.0.1:0").unwrap();
    let address = http.addrs()[0];
    let http = http.run();
    let handle = http.handle();
    rt::spawn(http);
    (address, handle)
}

/// Says all of this and hears as much.
async fn exchange(program: &mut stage::Stream, said: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(program);
    let mut heard = vec![0; said.len()];
    let exchanging = async { tokio::join!(writer.write_all(said), reader.read_exact(&mut heard)) };
    let (wrote, read) = patiently("all is echoed", exchanging).await;
    wrote.unwrap();
    read.unwrap();
    heard
}

async fn list(address: SocketAddr) -> Value {
    let (status, body) = request(address, "GET", "/tubes").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// The status and the body of the answer.
async fn request(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let asking = async {
        let mut socket = TcpStream::connect(address).await?;
        let question = format!("{method} {path} HTTP/1.0\r\n\r\n");
        socket.write_all(question.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = patiently("the web server answers", asking).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

const AMOUNT: usize = 300_000;
