//! A TCP forwarder that delays every byte in both directions.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

/// Accepts connections until the runtime ends. `each_way` is the delay of every byte in either direction.
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

/// Writes what was read after this delay, in order; bytes do not slow each other down.
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
