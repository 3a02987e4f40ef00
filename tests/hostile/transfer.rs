//! Both sides of `transfer/1.0`, as far as attacks need them, written from `docs/protocol-transfer.md`. File data is
//! sent under TLS alone, without sealing, which an offer may ask for.

use iroh::endpoint::SendStream;

use crate::{
    peer::{Control, Session},
    wire::{Step, counted, random, text, varint},
};

/// Protocol version that every offer names.
const VERSION: u64 = 3;
/// Longest page that is written, in bytes; a frame may have 64 KiB.
const PAGE: usize = 60_000;
/// Plain bytes of a segment, and the largest chunk.
pub const SEGMENT: usize = 2 << 20;

/// A file or a folder of an offer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// 0 at the top, otherwise the number of its folder plus one.
    pub parent: u32,
    pub name: Vec<u8>,
    pub mode: Option<u16>,
    /// Size in bytes; none for a folder, and for a file that grows.
    pub size: Option<u64>,
    /// True for a file whose size is not known yet.
    pub grows: bool,
}

impl Entry {
    /// Returns a folder.
    pub fn folder(parent: u32, name: &str) -> Self {
        Self { parent, name: name.into(), mode: Some(0o755), size: None, grows: false }
    }

    /// Returns a file.
    pub fn file(parent: u32, name: &str, size: u64) -> Self {
        Self { parent, name: name.into(), mode: Some(0o644), size: Some(size), grows: false }
    }

    /// Returns a file that is offered while it is still being written.
    pub fn growing(name: &str) -> Self {
        Self { parent: 0, name: name.into(), mode: Some(0o644), size: None, grows: true }
    }

    fn write(&self, out: &mut Vec<u8>) {
        varint(out, self.parent.into());
        counted(out, &self.name);
        // 2033-05-18, as zigzag; no nanoseconds.
        varint(out, 2 * 2_000_000_000);
        varint(out, 0);
        match self.mode {
            Some(mode) => {
                out.push(1);
                varint(out, mode.into());
            }
            None => out.push(0),
        }
        match self.size {
            Some(size) => {
                out.push(1);
                varint(out, size);
            }
            None if self.grows => out.push(2),
            None => out.push(0),
        }
    }
}

/// List of an offer, encoded so that it can be sent many times.
#[derive(Clone, Debug)]
pub struct Manifest {
    pages: Vec<Vec<u8>>,
    /// BLAKE3 of all pages.
    pub hash: [u8; 32],
    entries: u32,
    files: u32,
    total: u64,
    roots: Vec<Vec<u8>>,
    root_count: u32,
}

impl Manifest {
    /// Packs entries into pages.
    pub fn of(entries: &[Entry]) -> Self {
        let (mut pages, mut page, mut count) = (Vec::new(), Vec::new(), 0_u64);
        let mut close = |page: &mut Vec<u8>, count: &mut u64| {
            let mut frame = vec![1];
            varint(&mut frame, pages.len() as u64);
            varint(&mut frame, *count);
            frame.append(page);
            pages.push(frame);
            *count = 0;
        };
        for entry in entries {
            entry.write(&mut page);
            count += 1;
            if page.len() > PAGE - 300 || count == 1024 {
                close(&mut page, &mut count);
            }
        }
        if count > 0 {
            close(&mut page, &mut count);
        }
        let mut hasher = blake3::Hasher::new();
        for page in &pages {
            hasher.update(page);
        }
        let top: Vec<&Entry> = entries.iter().filter(|entry| entry.parent == 0).collect();
        Self {
            hash: *hasher.finalize().as_bytes(),
            entries: entries.len() as u32,
            files: entries.iter().filter(|entry| entry.size.is_some() || entry.grows).count() as u32,
            total: entries.iter().filter_map(|entry| entry.size).sum(),
            roots: top.iter().take(20).map(|entry| entry.name.clone()).collect(),
            root_count: top.len() as u32,
            pages,
        }
    }
}

/// An offer of this peer, over its control stream.
pub struct Offering {
    /// Its id, which stays the same over attempts.
    pub transfer: [u8; 16],
    attempt: [u8; 16],
    control: Control,
    session: Session,
    streams: Vec<SendStream>,
}

impl Offering {
    async fn begin(session: &Session, transfer: [u8; 16]) -> Step<Self> {
        let control = session.open().await?;
        Ok(Self { transfer, attempt: random(), control, session: session.clone(), streams: Vec::new() })
    }

    /// Announces these numbers of pages and entries, and sends none of them.
    pub async fn claim(session: &Session, pages: u32, entries: u32, total: u64) -> Step<Self> {
        let mut offering = Self::begin(session, new_id()).await?;
        let frame = offering.summary(entries, entries, total, &[b"claim".to_vec()], 1, pages);
        offering.control.send(&frame).await?;
        Ok(offering)
    }

    fn summary(&self, entries: u32, files: u32, total: u64, roots: &[Vec<u8>], root_count: u32, pages: u32) -> Vec<u8> {
        let mut frame = vec![0];
        varint(&mut frame, VERSION);
        frame.extend_from_slice(&self.transfer);
        frame.extend_from_slice(&self.attempt);
        varint(&mut frame, entries.into());
        varint(&mut frame, files.into());
        varint(&mut frame, total);
        varint(&mut frame, roots.len() as u64);
        for root in roots {
            counted(&mut frame, root);
        }
        varint(&mut frame, root_count.into());
        varint(&mut frame, 0);
        varint(&mut frame, pages.into());
        // Neither compressed nor sealed.
        frame.extend_from_slice(&[0, 0]);
        frame
    }

    /// Offers a whole manifest, and returns once the node has read it. Where the node declines at once, the error is
    /// its code.
    pub async fn offer(session: &Session, manifest: &Manifest) -> Step<Self> {
        let mut offering = Self::begin(session, new_id()).await?;
        let Manifest { entries, files, total, roots, root_count, pages, .. } = manifest;
        let frame = offering.summary(*entries, *files, *total, roots, *root_count, pages.len() as u32);
        offering.control.send(&frame).await?;
        let answer = offering.control.recv().await?;
        if answer != [0] {
            return Err(declined(&answer));
        }
        for page in pages {
            offering.control.send(page).await?;
        }
        offering.control.send(&[&[2], manifest.hash.as_slice()].concat()).await?;
        Ok(offering)
    }

    /// Offers a manifest, and waits until it was accepted and may begin.
    pub async fn accepted(session: &Session, manifest: &Manifest) -> Step<Self> {
        let mut offering = Self::offer(session, manifest).await?;
        offering.started().await?;
        Ok(offering)
    }

    /// Offers a manifest. None where it was not accepted within a second: the node takes no more from this device.
    pub async fn soon_accepted(session: &Session, manifest: &Manifest) -> Option<Self> {
        let accepted = Self::accepted(session, manifest);
        tokio::time::timeout(std::time::Duration::from_secs(1), accepted).await.ok()?.ok()
    }

    /// Resumes a transfer with other file lengths than were offered, and waits until it may go on.
    pub async fn again(session: &Session, transfer: [u8; 16], hash: &[u8; 32], changed: &[(u32, u64)]) -> Step<Self> {
        let mut offering = Self::begin(session, transfer).await?;
        let mut frame = vec![10];
        varint(&mut frame, VERSION);
        frame.extend_from_slice(&transfer);
        frame.extend_from_slice(&offering.attempt);
        frame.extend_from_slice(hash);
        varint(&mut frame, changed.len() as u64);
        offering.control.send(&frame).await?;
        let mut frame = vec![11];
        varint(&mut frame, changed.len() as u64);
        for (file, size) in changed {
            varint(&mut frame, (*file).into());
            varint(&mut frame, *size);
            varint(&mut frame, 2 * 2_000_000_001);
            varint(&mut frame, 0);
        }
        offering.control.send(&frame).await?;
        offering.started().await?;
        Ok(offering)
    }

    /// Waits for the decision and for the receiver to be ready, then begins.
    async fn started(&mut self) -> Step<()> {
        loop {
            let frame = self.control.recv().await?;
            match frame.first() {
                // Decision: accepted.
                Some(1) if frame.get(1) == Some(&0) => {}
                Some(1) => return Err(declined(&frame)),
                // Select, Have.
                Some(2 | 3) => {}
                Some(4) => break,
                _ => return Err(format!("not a start: {frame:?}")),
            }
        }
        self.control.send(&[4]).await
    }

    /// Opens a data stream and writes these bytes after its header; the stream stays open.
    pub async fn data(&mut self, bytes: &[u8]) -> Step<()> {
        let send = self.session.connection.open_uni().await.map_err(text("open"))?;
        // The stream is stored before it is written to: dropping it would end it, and the write may block.
        self.streams.push(send);
        let send = self.streams.last_mut().expect("one was added");
        let header = [&[1, 0], self.transfer.as_slice(), &self.attempt].concat();
        send.write_all(&header).await.map_err(text("write"))?;
        send.write_all(bytes).await.map_err(text("write"))
    }

    /// Says that the growing file has this size by now.
    pub async fn grown(&mut self, size: u64) -> Step<()> {
        let mut frame = vec![12];
        varint(&mut frame, size);
        frame.push(0);
        self.control.send(&frame).await
    }

    /// Sends these whole files over one data stream, reports the end, and waits until the receiver confirms it.
    pub async fn finish(mut self, files: &[(u32, &[u8])]) -> Step<()> {
        let mut streams = 0;
        if files.iter().any(|(_, bytes)| !bytes.is_empty()) {
            let all: Vec<u8> = files.iter().flat_map(|(file, bytes)| segments(*file, bytes)).collect();
            self.data(&all).await?;
            if let Some(mut stream) = self.streams.pop() {
                let _ = stream.finish();
            }
            streams = 1;
        }
        for some in files.chunks(500) {
            let mut frame = vec![5];
            varint(&mut frame, some.len() as u64);
            for (file, bytes) in some {
                varint(&mut frame, (*file).into());
                frame.push(0);
                frame.extend_from_slice(blake3::hash(bytes).as_bytes());
                varint(&mut frame, bytes.len() as u64);
            }
            self.control.send(&frame).await?;
        }
        self.end(streams).await
    }

    /// Reports that these files cannot be sent, and waits until the receiver confirms the end.
    pub async fn fail(mut self, files: std::ops::Range<u32>) -> Step<()> {
        let mut frame = vec![5];
        varint(&mut frame, u64::from(files.end - files.start));
        for file in files {
            varint(&mut frame, file.into());
            frame.push(1);
            counted(&mut frame, b"source_deleted");
        }
        self.control.send(&frame).await?;
        self.end(0).await
    }

    async fn end(&mut self, streams: u8) -> Step<()> {
        self.control.send(&[6, streams]).await?;
        loop {
            let frame = self.control.recv().await?;
            match frame.first() {
                // Progress, FilesReceived, Renamed.
                Some(5 | 6 | 11) => {}
                // Complete.
                Some(7) => {
                    let _ = self.control.send.finish();
                    return Ok(());
                }
                _ => return Err(format!("not the end: {frame:?}")),
            }
        }
    }
}

fn new_id() -> [u8; 16] {
    let mut id: [u8; 16] = random();
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// Returns the code of a decision that is no acceptance.
fn declined(frame: &[u8]) -> String {
    match frame.get(..2) {
        Some([1, 1]) => format!("declined: {}", String::from_utf8_lossy(frame.get(3..).unwrap_or_default())),
        _ => format!("not a decision: {frame:?}"),
    }
}

/// Encodes a file as segments of one chunk each.
fn segments(file: u32, bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (number, part) in bytes.chunks(SEGMENT).enumerate() {
        let whole = u8::from(bytes.len() <= SEGMENT);
        all.extend_from_slice(&segment_header(file, (number * SEGMENT) as u64, part.len() as u32, whole));
        all.extend_from_slice(part);
    }
    all
}

/// Returns the header of a segment that is one chunk.
pub fn segment_header(file: u32, start: u64, length: u32, whole: u8) -> Vec<u8> {
    let mut all = file.to_le_bytes().to_vec();
    all.extend_from_slice(&start.to_le_bytes());
    all.extend_from_slice(&length.to_le_bytes());
    all.push(whole);
    // The chunk: plain length, length on the wire, last of its segment.
    all.extend_from_slice(&length.to_le_bytes());
    all.extend_from_slice(&length.to_le_bytes());
    all.push(2);
    all
}

/// Takes the next offer that the node makes over this session, accepts all of it, and never reads its data. Returns the
/// stream, which the caller has to keep.
pub async fn accept_and_read_nothing(session: &Session) -> Step<Control> {
    let mut control = session.accept().await?;
    let frame = control.recv().await?;
    if frame.first() != Some(&0) {
        return Err(format!("not an offer: {frame:?}"));
    }
    control.send(&[0]).await?;
    while control.recv().await?.first() == Some(&1) {}
    // Decision: accepted, everything, keeping both; then ready.
    control.send(&[1, 0, 1, 0]).await?;
    control.send(&[4]).await?;
    Ok(control)
}
