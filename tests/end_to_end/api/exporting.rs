//! What a server exports, and what it says of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::spawn_blocking;
use tubes::transport::async_trait;
use tubes::{Address, Audience, Command, Export, ExportError, Exportable, Parameters};
use tubes::{ParametersGenerator, ServeError, ServerEvent, StreamTubeServer, TubeRequest};
use tubes_server::Server;

use super::{Heard, SERVICE, accepted, added, monitoring_server, offer, offered, opened, password};
use crate::stage::{Family, Person, Service, connect, pair, patiently};

crate::on_each_server!(
    another_socket_is_for_tubes_from_then_on_and_running_ones_keep_theirs,
    parameters_go_with_their_socket_and_no_other,
    a_generator_is_asked_for_each_tube_after_it_is_announced,
    a_tube_whose_parameters_cannot_be_had_is_not_offered,
    a_tube_that_is_given_up_while_its_parameters_are_asked_for_is_not_offered,
    services_on_unix_sockets_are_exported_as_they_listen,
    whatever_listens_already_is_exported_and_reached,
    a_command_is_run_once_for_each_connection,
);

async fn another_socket_is_for_tubes_from_then_on_and_running_ones_keep_theirs(server: &Server) {
    let (first, second) = (listen().await, listen().await);
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    tubes.export(&first, Parameters::default()).unwrap();
    assert_eq!(
        tubes.exported(),
        Some(Export::Address(first.local_addr().unwrap().into()))
    );
    offer(&tubes, &alice, &fernand).await;
    let old = accepted(&mut fernand).await;
    tubes.export(&second, Parameters::default()).unwrap();
    assert_eq!(
        tubes.exported(),
        Some(Export::Address(second.local_addr().unwrap().into()))
    );
    offer(&tubes, &alice, &fernand).await;
    let new = accepted(&mut fernand).await;
    for (address, service) in [(&old, &first), (&new, &second), (&old, &first)] {
        let _program = connect(address).await.unwrap();
        patiently("the right service is reached", service.accept())
            .await
            .unwrap();
    }
    fernand.leave().await;
    alice.leave().await;
}

async fn parameters_go_with_their_socket_and_no_other(server: &Server) {
    let service = listen().await;
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    tubes.export(&service, password("secret")).unwrap();
    assert_eq!(tubes.exported_parameters(), password("secret"));
    for _ in 0..2 {
        offer(&tubes, &alice, &fernand).await;
        assert_eq!(offered(&mut fernand).await.1, password("secret"));
    }
    tubes.export(&service, Parameters::default()).unwrap();
    assert!(tubes.exported_parameters().is_empty());
    offer(&tubes, &alice, &fernand).await;
    assert!(offered(&mut fernand).await.1.is_empty());
    fernand.leave().await;
    alice.leave().await;
}

async fn a_generator_is_asked_for_each_tube_after_it_is_announced(server: &Server) {
    let service = listen().await;
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    let (ask, mut asked) = tokio::sync::mpsc::channel(1);
    let generator = OneTime {
        ask,
        count: AtomicU32::new(0),
    };
    tubes.export_with(&service, generator).unwrap();
    assert!(tubes.exported_parameters().is_empty());
    let mut heard = Heard::by(tubes.watch().1);
    for count in 1..=2 {
        let offering = offer(&tubes, &alice, &fernand);
        let answering = async {
            let (request, answer) = patiently("it is asked", asked.recv()).await.unwrap();
            // It waits for the answer, and was announced all the same.
            let announced = heard.event(|event| match event {
                ServerEvent::TubeRequested { request } => Some(request.clone()),
                _ => None,
            });
            assert_eq!(announced.await, request);
            assert_eq!(request.account, alice.jid);
            assert_eq!(request.audience, Audience::Contact(fernand.jid.clone()));
            answer.send(()).unwrap();
        };
        tokio::join!(offering, answering);
        let said = offered(&mut fernand).await.1;
        assert_eq!(said, password(&format!("{SERVICE} {count}")));
    }
    fernand.leave().await;
    alice.leave().await;
}

async fn a_tube_whose_parameters_cannot_be_had_is_not_offered(server: &Server) {
    let service = listen().await;
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    let none = |_: TubeRequest| async { Err::<Parameters, _>("no passwords are left") };
    tubes.export_with(&service, none).unwrap();
    let mut heard = Heard::by(tubes.watch().1);
    let audience = Audience::Contact(fernand.jid.clone());
    let refused = tubes.offer(&alice.jid, audience, SERVICE).await;
    let Err(ServeError::Generator(why)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(why.to_string(), "no passwords are left");
    let requested = heard.next().await;
    assert!(matches!(requested, ServerEvent::TubeRequested { .. }));
    let refused = heard.next().await;
    let is_why = |error: &ServeError| matches!(error, ServeError::Generator(_));
    assert!(matches!(refused, ServerEvent::TubeRefused { error, .. } if is_why(&error)));
    assert!(tubes.tubes().is_empty());
    // The next that Fernand hears of is the next that is offered.
    tubes.export(&service, password("next")).unwrap();
    offer(&tubes, &alice, &fernand).await;
    assert_eq!(offered(&mut fernand).await.1, password("next"));
    fernand.leave().await;
    alice.leave().await;
}

async fn a_tube_that_is_given_up_while_its_parameters_are_asked_for_is_not_offered(
    server: &Server,
) {
    let service = listen().await;
    let alice = Person::on(server, "alice").await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    let never = |_: TubeRequest| std::future::pending::<Result<Parameters, String>>();
    tubes.export_with(&service, never).unwrap();
    let mut heard = Heard::by(tubes.watch().1);
    let audience = Audience::Contact(alice.jid.clone());
    let mut offering = Box::pin(tubes.offer(&alice.jid, audience, SERVICE));
    assert!((&mut offering).now_or_never().is_none());
    let requested = heard.next().await;
    assert!(matches!(requested, ServerEvent::TubeRequested { .. }));
    drop(offering);
    let refused = heard.next().await;
    let is_why = |error: &ServeError| matches!(error, ServeError::Abandoned);
    assert!(matches!(refused, ServerEvent::TubeRefused { error, .. } if is_why(&error)));
    assert!(tubes.tubes().is_empty());
    alice.leave().await;
}

async fn services_on_unix_sockets_are_exported_as_they_listen(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    for family in [Family::Unix, Family::Abstract] {
        let service = Service::listen(family).await.unwrap();
        tubes
            .export(&service.address(), Parameters::default())
            .unwrap();
        assert_eq!(tubes.exported(), Some(service.address().into()));
        offer(&tubes, &alice, &fernand).await;
        let address = accepted(&mut fernand).await;
        drop(connect(&address).await.unwrap());
        let mut served = service.accept().await;
        let mut heard = Vec::new();
        let ended = served.read_to_end(&mut heard);
        patiently("the program is gone", ended).await.unwrap();
    }
    fernand.leave().await;
    alice.leave().await;
}

async fn whatever_listens_already_is_exported_and_reached(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    let folder = tempfile::tempdir().unwrap();
    let tcp = listen().await;
    let std_tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(folder.path().join("tokio")).unwrap();
    let std_unix = std::os::unix::net::UnixListener::bind(folder.path().join("std")).unwrap();
    let by_address = listen().await;
    reached(&tubes, &alice, &mut fernand, &tcp, tcp.accept()).await;
    let at = by_address.local_addr().unwrap();
    reached(&tubes, &alice, &mut fernand, &at, by_address.accept()).await;
    reached(&tubes, &alice, &mut fernand, &unix, unix.accept()).await;
    let accepting = spawn_blocking({
        let listener = std_tcp.try_clone().unwrap();
        move || listener.accept().unwrap()
    });
    reached(&tubes, &alice, &mut fernand, &std_tcp, accepting).await;
    let accepting = spawn_blocking({
        let listener = std_unix.try_clone().unwrap();
        move || listener.accept().unwrap()
    });
    reached(&tubes, &alice, &mut fernand, &std_unix, accepting).await;
    fernand.leave().await;
    alice.leave().await;
}

/// Exports this socket; a program of Fernand's gets there.
async fn reached<T, E: std::fmt::Debug>(
    tubes: &StreamTubeServer,
    alice: &Person,
    fernand: &mut Person,
    socket: &impl Exportable,
    accepting: impl Future<Output = Result<T, E>>,
) {
    tubes.export(socket, Parameters::default()).unwrap();
    offer(tubes, alice, fernand).await;
    let address = accepted(fernand).await;
    let _program = connect(&address).await.unwrap();
    patiently("it is reached", accepting).await.unwrap();
}

async fn a_command_is_run_once_for_each_connection(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    let command = Command::shell("echo $$; exec cat");
    tubes.export(&command, Parameters::default()).unwrap();
    offer(&tubes, &alice, &fernand).await;
    let address = accepted(&mut fernand).await;
    let mut heard = Heard::by(tubes.watch().1);
    let mut running = Vec::new();
    for _ in 0..3 {
        let mut program = BufReader::new(connect(&address).await.unwrap());
        let mut number = String::new();
        let reading = program.read_line(&mut number);
        patiently("it says its number", reading).await.unwrap();
        assert_eq!(opened(&mut heard).await.source, None);
        running.push((number, program));
    }
    // All of them are there at the same time.
    for (_, program) in &mut running {
        program.get_mut().write_all(b"hello\n").await.unwrap();
        let mut answer = String::new();
        let reading = program.read_line(&mut answer);
        patiently("it answers", reading).await.unwrap();
        assert_eq!(answer, "hello\n");
    }
    let processes: BTreeSet<_> = running.iter().map(|(number, _)| number).collect();
    assert_eq!(processes.len(), running.len(), "{processes:?}");
    fernand.leave().await;
    alice.leave().await;
}

#[tokio::test]
async fn a_listener_is_exported_where_it_is_reached() {
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = everywhere.local_addr().unwrap().port();
    let here = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    let here = Export::from(here);
    assert_eq!(everywhere.to_export().unwrap(), here);
    assert_eq!(everywhere.into_std().unwrap().to_export().unwrap(), here);
    let place = Family::Abstract.place();
    let Address::Abstract(name) = &place.address else {
        panic!("another family");
    };
    let listener = UnixListener::bind(format!("\0{name}")).unwrap();
    assert_eq!(listener.to_export().unwrap(), place.address.clone().into());
    let place = Family::Unix.place();
    let Address::Unix(path) = &place.address else {
        panic!("another family");
    };
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    assert_eq!(listener.to_export().unwrap(), place.address.clone().into());
}

#[test]
fn what_nobody_can_be_reached_at_is_not_exported() {
    let exported = |address: &str| address.parse::<Address>().unwrap().to_export();
    assert!(matches!(exported("127.0.0.1:0"), Err(ExportError::NoPort)));
    assert!(matches!(exported("-"), Err(ExportError::Stdio)));
    assert!(matches!(exported("unix:"), Err(ExportError::Unnamed)));
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Another password for each tube, once somebody has agreed.
struct OneTime {
    ask: tokio::sync::mpsc::Sender<(TubeRequest, tokio::sync::oneshot::Sender<()>)>,
    count: AtomicU32,
}

#[async_trait]
impl ParametersGenerator for OneTime {
    async fn parameters(
        &self,
        request: &TubeRequest,
    ) -> Result<Parameters, Box<dyn std::error::Error + Send + Sync>> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.ask.send((request.clone(), answer)).await?;
        answered.await?;
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(password(&format!("{} {count}", request.service)))
    }
}
