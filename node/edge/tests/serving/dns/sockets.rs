//! Datagrams and streams, and who asks too much of them.

use std::time::Duration;

use edge::dns::Limits;
use hickory_proto::{
    op::ResponseCode,
    rr::RecordType::{A, TXT},
};
use tokio::{io::AsyncWriteExt, time::Instant};

use super::{Stand, client, data, hear, question, received, tell};
use crate::rig::eventually;

const BUSY: &str = "busy.acme.edge.example.";

#[tokio::test]
async fn both_transports_give_the_same() {
    let stand = Stand::start();
    let values = stand.book.place("busy", 2);
    assert_eq!(data(&stand.udp(BUSY, TXT).await), values);
    let mut stream = stand.tcp().await;
    tell(&mut stream, &question(BUSY, TXT)).await;
    assert_eq!(data(&hear(&mut stream).await.unwrap()), values);
}

#[tokio::test]
async fn many_questions_may_share_a_stream() {
    let stand = Stand::start();
    stand.book.place("busy", 60);
    let mut stream = stand.tcp().await;
    // All are sent before any answer is read, and one in two pieces.
    for _ in 0..20 {
        tell(&mut stream, &question(BUSY, TXT)).await;
    }
    let last = question(BUSY, A);
    let framed = [&u16::try_from(last.len()).unwrap().to_be_bytes()[..], &last].concat();
    stream.write_all(&framed[..1]).await.unwrap();
    stream.flush().await.unwrap();
    stream.write_all(&framed[1..]).await.unwrap();
    for _ in 0..20 {
        assert_eq!(hear(&mut stream).await.unwrap().answers.len(), 60);
    }
    assert_eq!(hear(&mut stream).await.unwrap().authorities.len(), 1);
}

#[tokio::test]
async fn who_is_behind_says_so_until_it_is_not() {
    let stand = Stand::start();
    stand.book.fall_behind(true);
    let code = async || stand.udp(BUSY, TXT).await.response_code;
    assert_eq!(code().await, ResponseCode::ServFail);
    stand.book.fall_behind(false);
    assert_eq!(code().await, ResponseCode::NXDomain);
    assert_eq!(stand.server.metrics().behind, 1);
}

#[tokio::test]
async fn noise_is_not_answered() {
    let stand = Stand::start();
    let socket = client(stand.address()).await;
    let mut answer = question(BUSY, TXT);
    answer[2] |= 0x80;
    for noise in [&b""[..], b"x", &[0; 11], &answer] {
        socket.send(noise).await.unwrap();
    }
    // Datagrams of one sender keep their order here: nothing came before this.
    socket.send(&question(BUSY, A)).await.unwrap();
    let first = received(&socket, crate::rig::PATIENCE).await.unwrap();
    assert_eq!(first.queries[0].query_type(), A);
    assert_eq!(stand.server.metrics().noise, 4);
}

#[tokio::test]
async fn a_flood_is_answered_in_bounds_and_tcp_stays_open() {
    let limits = Limits {
        answers: 10,
        burst: 20,
        ..Limits::default()
    };
    let stand = Stand::with(limits);
    let values = stand.book.place("busy", 2);
    let socket = client(stand.address()).await;
    let begun = Instant::now();
    for _ in 0..1000 {
        socket.send(&question(BUSY, TXT)).await.unwrap();
    }
    let (mut whole, mut advice) = (0, 0);
    while let Some(answer) = received(&socket, Duration::from_millis(300)).await {
        if answer.truncation {
            assert!(answer.answers.is_empty());
            advice += 1;
        } else {
            whole += 1;
        }
    }
    let allowed = 21 + 10 * (begun.elapsed().as_secs() + 1);
    assert!((20..=allowed).contains(&whole), "{whole} of {allowed}");
    // The kernel may lose some of a flood on either side.
    let metrics = stand.server.metrics();
    let held_back = metrics.slipped + metrics.limited;
    assert_eq!(metrics.found + held_back, metrics.datagrams);
    assert!(held_back > 100 && metrics.slipped.abs_diff(metrics.limited) <= 1);
    assert!((1..=metrics.slipped).contains(&advice), "{metrics:?}");
    // Who was told to ask by TCP is answered there.
    let mut stream = stand.tcp().await;
    tell(&mut stream, &question(BUSY, TXT)).await;
    assert_eq!(data(&hear(&mut stream).await.unwrap()), values);
}

#[tokio::test]
async fn all_queries_together_are_bounded() {
    let limits = Limits {
        queries: 500,
        answers: 1_000_000,
        burst: 1_000_000,
        ..Limits::default()
    };
    let stand = Stand::with(limits);
    let socket = client(stand.address()).await;
    let begun = Instant::now();
    for _ in 0..200 {
        socket.send(&question(BUSY, TXT)).await.unwrap();
    }
    for _ in 0..200 {
        received(&socket, crate::rig::PATIENCE).await.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(350));
    assert!(stand.server.metrics().paused > 0);
}

#[tokio::test]
async fn a_network_has_so_many_streams_and_gets_them_back() {
    let limits = Limits {
        connections_each: 2,
        ..Limits::default()
    };
    let stand = Stand::with(limits);
    let ask = question(BUSY, A);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = stand.tcp().await;
        tell(&mut stream, &ask).await;
        assert!(hear(&mut stream).await.is_some());
        held.push(stream);
    }
    let mut third = stand.tcp().await;
    assert!(hear(&mut third).await.is_none());
    drop(held);
    eventually("the places are free again", || {
        stand.server.metrics().connections_open == 0
    })
    .await;
    let mut fourth = stand.tcp().await;
    tell(&mut fourth, &ask).await;
    assert!(hear(&mut fourth).await.is_some());
    assert_eq!(stand.server.metrics().connections_refused, 1);
}

#[tokio::test]
async fn a_stream_that_rests_or_stutters_is_closed() {
    let limits = Limits {
        idle: Duration::from_millis(100),
        ..Limits::default()
    };
    let stand = Stand::with(limits);
    for beginning in [&b""[..], b"\0", b"\0\x1e", b"\0\x1eabc"] {
        let mut stream = stand.tcp().await;
        stream.write_all(beginning).await.unwrap();
        assert!(hear(&mut stream).await.is_none(), "{beginning:?}");
    }
    // So is one that is no DNS at all.
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0", b"\0\x01x"] {
        let mut stream = stand.tcp().await;
        stream.write_all(noise).await.unwrap();
        assert!(hear(&mut stream).await.is_none(), "{noise:?}");
    }
}

#[tokio::test]
async fn it_ends_with_what_holds_it_and_its_port_is_free() {
    let stand = Stand::start();
    let address = stand.address();
    let mut stream = stand.tcp().await;
    drop(stand);
    assert!(hear(&mut stream).await.is_none());
    std::net::UdpSocket::bind(address).unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let stand = Stand::start();
    let config = edge::dns::Config {
        listen: vec![stand.address()],
        ..edge::dns::Config::default()
    };
    let error = edge::dns::Running::start(config, stand.book.clone()).unwrap_err();
    let told = error.to_string();
    assert!(told.contains(&stand.address().to_string()), "{told}");
}
