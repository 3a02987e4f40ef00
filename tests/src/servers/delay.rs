//! A way that takes its time: what comes in at one address goes on to another after a while, and back the same.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

/// Takes connections until the runtime ends. `each_way` is how long every byte is held, in either direction.
pub(super) async fn forward(listener: TcpListener, to: SocketAddr, each_way: Duration) {
    while let Ok((inner, _)) = listener.accept().await {
        tokio::spawn(async move {
            let Ok(outer) = TcpStream::connect(to).await else { return };
            let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
            let ((from_inner, to_inner), (from_outer, to_outer)) = (inner.into_split(), outer.into_split());
            tokio::join!(late(from_inner, to_outer, each_way), late(from_outer, to_inner, each_way));
        });
    }
}

/// What is read is written after this while, in order and without slowing each other down.
async fn late(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, while_: Duration) {
    let (held, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let read = async move {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if held.send((Instant::now() + while_, buffer[..count].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((at, bytes)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
