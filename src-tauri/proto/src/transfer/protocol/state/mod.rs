//! The order of control frames, on both sides. Pure: no tokio, no iroh, no disk, no clock.
//!
//! ```text
//! sender                                    receiver
//! Offer                         ->
//!                               <-          NeedManifest, or Decision(declined)
//! Page* ManifestEnd             ->
//!                               <-          Decision; if accepted: Select* Have* Start
//! Anew* Begin, data streams     ->
//! Grown* FilesDone* Finished    ->
//!                               <-          Room* Progress* Renamed* FilesReceived* Complete
//! ```
//! `Requested` replaces `Offer` where the offer answers a request of the receiver.
//! `ResumeOffer` and `Changed*` replace `Offer` and the manifest when an accepted transfer is resumed. The receiver has the
//! manifest already and sends its decision at once. `Cancel` from either side ends the transfer at any time. `Pause`
//! and `Resume` may come from either side once it is accepted; in a resumed transfer also before the decision. Every
//! accepted file gets exactly one `FilesDone` and one `FilesReceived`, except files that the receiver holds whole.

use std::{collections::HashMap, sync::Arc};

use super::{
    limits::{MAX_ENTRIES, MAX_PAGES, MAX_PAUSES, MAX_STREAMS, SEGMENT},
    manifest::{MAX_FILE, Manifest, ManifestBuilder, check_offer},
    reason::Reason,
};
use crate::{
    fs::names,
    transfer::protocol::{
        frames::{
            ChangedFile, Decision, FileEnd, FileReceived, HaveFile, Offer, ReceiverFrame, Renamed, ResumeOffer,
            SenderFrame, SourceOutcome, Violation, decode, violation,
        },
        hash_tree::{Held, segments},
        index_set::IndexSet,
    },
};

/// The agreed plan: which entries are sent, and which parts of them the receiver already holds.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Accepted entries.
    pub selected: IndexSet,
    /// Files that the receiver holds whole.
    pub whole: IndexSet,
    /// Segments that the receiver holds of other files.
    pub held: HashMap<u32, Held>,
}

impl Plan {
    /// Returns a plan for the whole manifest, with nothing held.
    pub fn all(manifest: &Manifest) -> Self {
        Self { selected: IndexSet::all(manifest.len()), whole: IndexSet::none(manifest.len()), held: HashMap::new() }
    }

    /// Returns true if data of this entry is to be sent.
    pub fn wants(&self, manifest: &Manifest, index: u32) -> bool {
        self.selected.contains(index) && !self.whole.contains(index) && manifest.size(index).is_some()
    }

    /// Returns the number of whole files held, their bytes, and the bytes of segments held of other files.
    pub fn held(&self, manifest: &Manifest) -> (u32, u64, u64) {
        let whole: Vec<u64> = self.whole.iter().filter_map(|file| manifest.bytes(file)).collect();
        let parts: u64 = self.held.iter().map(|(file, held)| held.bytes(manifest.size(*file).unwrap_or(0))).sum();
        let bytes = whole.iter().sum();
        (whole.len() as u32, bytes, parts)
    }

    /// Returns how many files are to be reported, and how many bytes all accepted files have.
    pub fn measure(&self, manifest: &Manifest) -> (u32, u64) {
        let wanted = (0..manifest.len()).filter(|index| self.wants(manifest, *index)).count() as u32;
        (wanted, self.selected.iter().filter_map(|index| manifest.bytes(index)).sum())
    }
}

/// Counts how often the peer paused and resumed. It is limited because people see each time.
#[derive(Debug, Default)]
struct Pauses(u16);

impl Pauses {
    fn count<T>(&mut self, meant: T) -> Result<T, Violation> {
        self.0 += 1;
        if self.0 > MAX_PAUSES { violation("paused and resumed without end") } else { Ok(meant) }
    }
}

// ---------------------------------------------------------------------------------------------------- receiver

/// Checks that this device made the request which an offer claims to answer. This version makes no requests, so that
/// every claim is refused.
fn check_request(request: Option<[u8; 16]>) -> Result<(), Reason> {
    match request {
        None => Ok(()),
        Some(_) => Err(Reason::Unsolicited),
    }
}

/// Meaning of a sender's frame for the receiver.
#[derive(Debug)]
pub enum FromSender {
    /// An offer within the limits.
    Offered(Offer),
    /// An offer that must be declined for this reason.
    Unacceptable(Reason),
    /// An accepted transfer is to be resumed. `Changes` follows if files have changed.
    ResumeOffer(ResumeOffer),
    /// All announced changes have arrived.
    Changes,
    /// Nothing to do yet.
    Noted,
    /// The manifest is complete.
    Manifest(Arc<Manifest>),
    /// The sender begins; data may come.
    Begin,
    /// Current length of the growing file.
    Grown {
        /// Length in bytes.
        size: u64,
        /// True if the file is complete at this length.
        ended: bool,
    },
    /// Files that the sender has finished reading.
    FilesDone(Vec<FileEnd>),
    /// All files are finished, over this number of data streams.
    Finished(u8),
    /// A person paused the transfer at the sender.
    Pause,
    /// A person resumed it at the sender.
    Resume,
    /// The sender cancelled the transfer.
    Cancelled(Reason),
}

#[derive(Debug)]
enum ReceiverStage {
    Silent,
    /// A transfer to be resumed was named. Holds how many changes are still to come, and those that came.
    Named(u32, Vec<ChangedFile>),
    Offered,
    Listing(Box<ManifestBuilder>, Box<blake3::Hasher>, u32),
    Deciding,
    Starting,
    Receiving,
    Finished,
    Ended,
}

/// State machine of the receiver.
#[derive(Debug)]
pub struct ReceiverMachine {
    stage: ReceiverStage,
    offer: Option<Offer>,
    manifest: Arc<Manifest>,
    manifest_hash: [u8; 32],
    plan: Plan,
    ended: IndexSet,
    left: u32,
    /// Last announced length of the growing file, and whether it is complete.
    grown: (u64, bool),
    pauses: Pauses,
}

impl Default for ReceiverMachine {
    fn default() -> Self {
        Self {
            stage: ReceiverStage::Silent,
            offer: None,
            manifest: Arc::default(),
            manifest_hash: [0; 32],
            plan: Plan::default(),
            ended: IndexSet::default(),
            left: 0,
            grown: (0, false),
            pauses: Pauses::default(),
        }
    }
}

impl ReceiverMachine {
    /// Takes an offer, and the id of the request that it claims to answer.
    fn offered(&mut self, offer: Offer, request: Option<[u8; 16]>) -> FromSender {
        self.stage = ReceiverStage::Offered;
        self.offer = Some(offer.clone());
        match check_offer(&offer).and_then(|()| check_request(request)) {
            Ok(()) => FromSender::Offered(offer),
            Err(reason) => FromSender::Unacceptable(reason),
        }
    }

    /// Handles one encoded frame.
    ///
    /// # Errors
    /// Returns a violation if the frame is malformed or out of order.
    pub fn frame(&mut self, bytes: &[u8]) -> Result<FromSender, Violation> {
        let frame: SenderFrame = decode(bytes)?;
        let accepted = self.is_accepted();
        match (&mut self.stage, frame) {
            (ReceiverStage::Ended, _) => violation("a frame after the end"),
            (ReceiverStage::Silent, SenderFrame::Offer(offer)) => Ok(self.offered(offer, None)),
            (ReceiverStage::Silent, SenderFrame::Requested { request, offer }) => {
                Ok(self.offered(offer, Some(request)))
            }
            (ReceiverStage::Silent, SenderFrame::ResumeOffer(again)) => {
                if again.changed > MAX_ENTRIES {
                    return violation("more changes than a manifest may have entries");
                }
                self.stage = ReceiverStage::Named(again.changed, Vec::new());
                Ok(FromSender::ResumeOffer(again))
            }
            (ReceiverStage::Silent, _) => violation("the first frame is not an offer"),
            (ReceiverStage::Named(left, changes), SenderFrame::Changed(list)) => {
                let over = u32::try_from(list.len()).ok().filter(|count| *count > 0).and_then(|n| left.checked_sub(n));
                let Some(over) = over else { return violation("changes that were not announced") };
                *left = over;
                changes.extend(list);
                Ok(if over == 0 { FromSender::Changes } else { FromSender::Noted })
            }
            (ReceiverStage::Listing(builder, hasher, pages), SenderFrame::Page(page)) => {
                let announced = self.offer.as_ref().map_or(0, |offer| offer.pages).min(MAX_PAGES);
                if page.index != *pages || *pages >= announced || page.entries.is_empty() {
                    return violation("a manifest page out of order");
                }
                *pages += 1;
                hasher.update(bytes);
                for entry in &page.entries {
                    builder.push(entry)?;
                }
                Ok(FromSender::Noted)
            }
            (ReceiverStage::Listing(builder, hasher, pages), SenderFrame::ManifestEnd { hash }) => {
                let Some(offer) = &self.offer else { return violation("a manifest without an offer") };
                if *pages != offer.pages || *hasher.finalize().as_bytes() != hash {
                    return violation("the manifest is not what was announced");
                }
                self.manifest_hash = hash;
                self.manifest = Arc::new(std::mem::take(&mut **builder).finish_as(offer)?);
                self.stage = ReceiverStage::Deciding;
                Ok(FromSender::Manifest(self.manifest.clone()))
            }
            (ReceiverStage::Starting, SenderFrame::Anew(files)) => {
                for file in files {
                    if self.plan.held.remove(&file).is_none() {
                        return violation("a file is sent anew of which nothing was claimed");
                    }
                }
                Ok(FromSender::Noted)
            }
            (ReceiverStage::Starting, SenderFrame::Begin) => {
                self.stage = ReceiverStage::Receiving;
                Ok(FromSender::Begin)
            }
            (ReceiverStage::Receiving, SenderFrame::Grown { size, ended }) => self.grow(size, ended),
            (ReceiverStage::Receiving, SenderFrame::FilesDone(ends)) => {
                for end in &ends {
                    if !self.plan.wants(&self.manifest, end.file) || !self.ended.insert(end.file) {
                        return violation("word on a file that was not asked for, or twice");
                    }
                    self.left = self.left.saturating_sub(1);
                    let length = match self.manifest.is_growing() {
                        true => self.grown.1.then_some(self.grown.0),
                        false => self.manifest.size(end.file),
                    };
                    if let SourceOutcome::Sent { size, .. } = end.outcome
                        && length != Some(size)
                    {
                        return violation("a file's length is not what was told before");
                    }
                }
                Ok(FromSender::FilesDone(ends))
            }
            (ReceiverStage::Receiving, SenderFrame::Finished { streams }) => {
                if self.left > 0 || streams > MAX_STREAMS {
                    return violation("finished before every file was through");
                }
                self.stage = ReceiverStage::Finished;
                Ok(FromSender::Finished(streams))
            }
            (_, SenderFrame::Pause) if accepted => self.pauses.count(FromSender::Pause),
            (_, SenderFrame::Resume) if accepted => self.pauses.count(FromSender::Resume),
            (_, SenderFrame::Cancel { code }) => {
                self.stage = ReceiverStage::Ended;
                Ok(FromSender::Cancelled(code))
            }
            _ => violation("a control frame out of order"),
        }
    }

    /// Takes a new length of the growing file. Each `Grown` but the last must complete at least one more segment, so
    /// a file has no more `Grown` frames than segments.
    fn grow(&mut self, size: u64, ended: bool) -> Result<FromSender, Violation> {
        let (before, over) = self.grown;
        let wanted = self.manifest.is_growing() && self.plan.wants(&self.manifest, 0) && !self.ended.contains(0);
        let longer = size > SEGMENT && size / SEGMENT > before / SEGMENT;
        if !wanted || over || size < before || size > MAX_FILE || !(ended || longer) {
            return violation("a file grows that does not, or in another way than it may");
        }
        self.grown = (size, ended);
        Ok(FromSender::Grown { size, ended })
    }

    /// Returns true if the transfer was accepted, now or in an earlier attempt, and has not ended.
    fn is_accepted(&self) -> bool {
        match self.stage {
            ReceiverStage::Named(..) | ReceiverStage::Starting => true,
            ReceiverStage::Receiving | ReceiverStage::Finished => true,
            // A resumed transfer has no offer.
            ReceiverStage::Deciding => self.offer.is_none(),
            _ => false,
        }
    }

    /// Notes that the manifest is requested. Returns false if no offer is pending.
    #[must_use]
    pub fn ask_manifest(&mut self) -> bool {
        let offered = matches!(self.stage, ReceiverStage::Offered);
        if offered {
            self.stage = ReceiverStage::Listing(Box::default(), Box::default(), 0);
        }
        offered
    }

    /// Restores the accepted manifest of a resumed transfer and applies the announced changes. Returns the manifest
    /// as it is now.
    ///
    /// # Errors
    /// Returns a violation if changes are still missing or do not fit the manifest.
    pub fn take_up(&mut self, manifest: &Arc<Manifest>, hash: [u8; 32]) -> Result<Arc<Manifest>, Violation> {
        let ReceiverStage::Named(0, changes) = &self.stage else { return violation("not all changes are known") };
        self.manifest = match changes.as_slice() {
            [] => manifest.clone(),
            changes => Arc::new(manifest.with_changes(changes)?),
        };
        self.manifest_hash = hash;
        self.stage = ReceiverStage::Deciding;
        Ok(self.manifest.clone())
    }

    /// Accepts the offer by a person or a rule. Returns false if no decision is pending.
    #[must_use]
    pub fn accept(&mut self, plan: Plan) -> bool {
        let deciding = matches!(self.stage, ReceiverStage::Deciding);
        if deciding {
            (self.left, _) = plan.measure(&self.manifest);
            self.ended = IndexSet::none(self.manifest.len());
            self.plan = plan;
            self.stage = ReceiverStage::Starting;
        }
        deciding
    }

    /// Ends the machine: every further frame is a violation.
    pub fn end(&mut self) {
        self.stage = ReceiverStage::Ended;
    }

    /// Returns true if the manifest is complete and nobody has decided yet.
    pub fn is_deciding(&self) -> bool {
        matches!(self.stage, ReceiverStage::Deciding)
    }

    /// Returns the plan. Invalidated claims (`Anew`) are removed from it by the time of `Begin`.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Clears the execute permission of every file in the manifest, for offers that no person has seen.
    pub fn make_plain(&mut self) {
        Arc::make_mut(&mut self.manifest).make_plain();
    }

    /// Returns the bytes of memory that the manifest, or the list of changes, takes so far.
    pub fn memory(&self) -> usize {
        match &self.stage {
            ReceiverStage::Listing(builder, ..) => builder.memory(),
            ReceiverStage::Named(_, changes) => changes.capacity() * size_of::<ChangedFile>(),
            _ => self.manifest.memory(),
        }
    }

    /// Returns the manifest; empty until it is complete.
    pub fn manifest(&self) -> Arc<Manifest> {
        self.manifest.clone()
    }

    /// Returns the BLAKE3 hash of all manifest pages.
    pub fn manifest_hash(&self) -> [u8; 32] {
        self.manifest_hash
    }
}

// ---------------------------------------------------------------------------------------------------- sender

/// Meaning of a receiver's frame for the sender.
#[derive(Debug)]
pub enum FromReceiver {
    /// The receiver asks for the pages of the manifest.
    SendManifest,
    /// The offer is declined for this reason.
    Declined(Reason),
    /// The offer is accepted; the selection follows.
    Accepted,
    /// Nothing to do yet.
    Noted,
    /// Selection and claims are complete: send what the plan wants.
    Start(Plan),
    /// Length up to which the receiver has room for the growing file.
    Room {
        /// Length in bytes.
        size: u64,
        /// True if the file is complete at this length.
        ended: bool,
    },
    /// Progress of the receiver.
    Progress {
        /// Bytes that it holds.
        bytes: u64,
        /// Files under their final names.
        files: u32,
    },
    /// Files that ended at the receiver.
    Received(Vec<FileReceived>),
    /// Files and folders that were saved under other names.
    Renamed(Vec<Renamed>),
    /// The transfer is over; everything arrived except the reported failures.
    Complete {
        /// Files under their final names.
        files: u32,
        /// Bytes of these files.
        bytes: u64,
    },
    /// Paused at the receiver, for this reason.
    Pause(Reason),
    /// No longer paused at the receiver.
    Resume,
    /// The receiver cancelled the transfer.
    Cancelled(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SenderStage {
    Offered,
    Listed,
    Selecting,
    Sending,
    Finished,
    Ended,
}

/// State machine of the sender.
#[derive(Debug)]
pub struct SenderMachine {
    stage: SenderStage,
    manifest: Arc<Manifest>,
    plan: Plan,
    select_floor: Option<u32>,
    have_floor: u32,
    /// Files that the sender has reported as sent whole.
    told: IndexSet,
    reported: IndexSet,
    renamed: IndexSet,
    left: u32,
    total: u64,
    bytes: u64,
    files: u32,
    good_files: u32,
    good_bytes: u64,
    pauses: Pauses,
    growth: Growth,
}

/// State of a growing file at its sender.
#[derive(Debug, Default)]
struct Growth {
    /// Complete segments when the attempt began; the receiver cannot claim more.
    segments: u64,
    /// Full length, once the file is complete.
    end: Option<u64>,
    /// Last length announced to the receiver, and whether it is the full length.
    told: (u64, bool),
    /// Last length granted by the receiver, and whether it is the full length.
    room: (u64, bool),
}

impl SenderMachine {
    /// Creates the machine for a resumed transfer, after `ResumeOffer` was sent: no manifest is sent.
    pub fn again(manifest: Arc<Manifest>) -> Self {
        Self { stage: SenderStage::Listed, ..Self::new(manifest) }
    }

    /// Creates the machine for a new offer, after `Offer` was sent.
    pub fn new(manifest: Arc<Manifest>) -> Self {
        let len = manifest.len();
        Self {
            stage: SenderStage::Offered,
            manifest,
            plan: Plan::default(),
            select_floor: None,
            have_floor: 0,
            told: IndexSet::none(len),
            reported: IndexSet::none(len),
            renamed: IndexSet::none(len),
            left: 0,
            total: 0,
            bytes: 0,
            files: 0,
            good_files: 0,
            good_bytes: 0,
            pauses: Pauses::default(),
            growth: Growth::default(),
        }
    }

    /// Sets the length of a growing file at the start of an attempt. If `ended`, it is the full length.
    #[must_use]
    pub fn growing(mut self, size: u64, ended: bool) -> Self {
        self.growth =
            Growth { segments: size / SEGMENT, end: ended.then_some(size), told: (0, false), room: (0, false) };
        self
    }

    /// Records that `Grown` is about to be sent.
    pub fn telling_length(&mut self, size: u64, ended: bool) {
        self.growth.told = (size, ended);
        self.growth.end = ended.then_some(size);
        self.total = self.total.max(size);
    }

    /// Returns the length of a file that the receiver has whole.
    fn length(&self, file: u32) -> u64 {
        match self.manifest.is_growing() {
            true => self.growth.end.unwrap_or(0),
            false => self.manifest.size(file).unwrap_or(0),
        }
    }

    /// Handles one encoded frame.
    ///
    /// # Errors
    /// Returns a violation if the frame is malformed or out of order.
    pub fn frame(&mut self, bytes: &[u8]) -> Result<FromReceiver, Violation> {
        let frame: ReceiverFrame = decode(bytes)?;
        use SenderStage::{Ended, Finished, Listed, Offered, Selecting, Sending};
        match (self.stage, frame) {
            (Ended, _) => violation("a frame after the end"),
            (_, ReceiverFrame::Cancel { code }) => {
                self.stage = Ended;
                Ok(FromReceiver::Cancelled(code))
            }
            (Offered, ReceiverFrame::NeedManifest) => {
                self.stage = Listed;
                Ok(FromReceiver::SendManifest)
            }
            (Offered | Listed, ReceiverFrame::Decision(Decision::Declined { code })) => {
                self.stage = Ended;
                Ok(FromReceiver::Declined(code))
            }
            (Listed, ReceiverFrame::Decision(Decision::Accepted { all, .. })) => {
                self.stage = Selecting;
                self.plan = Plan::all(&self.manifest);
                if !all {
                    self.plan.selected = IndexSet::none(self.manifest.len());
                    self.select_floor = Some(0);
                }
                Ok(FromReceiver::Accepted)
            }
            (Selecting, ReceiverFrame::Select(spans)) => {
                let Some(floor) = self.select_floor else { return violation("a selection of all") };
                self.select_floor = Some(self.plan.selected.insert_spans(&spans, floor)?);
                Ok(FromReceiver::Noted)
            }
            (Selecting, ReceiverFrame::Have(files)) => {
                // The claims were checked against the selection, so it may not change any more.
                self.select_floor = self.select_floor.map(|_| u32::MAX);
                for file in files {
                    self.have(&file)?;
                }
                Ok(FromReceiver::Noted)
            }
            (Selecting, ReceiverFrame::Start) => {
                self.stage = Sending;
                (self.left, self.total) = self.plan.measure(&self.manifest);
                for file in self.plan.whole.iter() {
                    self.good_files += 1;
                    self.good_bytes += self.length(file);
                }
                if self.manifest.is_growing() {
                    let (_, _, held) = self.plan.held(&self.manifest);
                    self.total = held.max(self.good_bytes);
                }
                Ok(FromReceiver::Start(self.plan.clone()))
            }
            (Sending | Finished, ReceiverFrame::Room { size, ended }) => {
                let (told, all) = self.growth.told;
                let (before, over) = self.growth.room;
                if size > told || (ended && (size, ended) != (told, all)) {
                    return violation("room for more than there is");
                }
                if over || size < before || (size == before && !ended) {
                    return violation("room that does not grow");
                }
                self.growth.room = (size, ended);
                Ok(FromReceiver::Room { size, ended })
            }
            (Sending | Finished, ReceiverFrame::Progress { bytes, files }) => {
                if bytes < self.bytes || bytes > self.total || files < self.files || files > self.manifest.files() {
                    return violation("progress that cannot be");
                }
                (self.bytes, self.files) = (bytes, files);
                Ok(FromReceiver::Progress { bytes, files })
            }
            (Sending | Finished, ReceiverFrame::FilesReceived(list)) => {
                for item in &list {
                    self.received(item)?;
                }
                Ok(FromReceiver::Received(list))
            }
            (Sending | Finished, ReceiverFrame::Renamed(list)) => {
                list.iter().try_for_each(|item| self.renamed(item))?;
                Ok(FromReceiver::Renamed(list))
            }
            (Finished, ReceiverFrame::Complete { files, bytes }) => {
                if self.left > 0 || files != self.good_files || bytes != self.good_bytes {
                    return violation("complete, but not by our count");
                }
                self.stage = Ended;
                Ok(FromReceiver::Complete { files, bytes })
            }
            (Listed | Selecting | Sending | Finished, ReceiverFrame::Pause { code }) => {
                self.pauses.count(FromReceiver::Pause(code))
            }
            (Listed | Selecting | Sending | Finished, ReceiverFrame::Resume) => self.pauses.count(FromReceiver::Resume),
            _ => violation("a control frame out of order"),
        }
    }

    fn have(&mut self, have: &HaveFile) -> Result<(), Violation> {
        let Some(size) = self.manifest.size(have.file) else { return violation("a claim on what is not a file") };
        let goes_on = have.file + 1 == self.have_floor && self.plan.held.contains_key(&have.file) && !have.whole;
        if (have.file < self.have_floor && !goes_on) || !self.plan.selected.contains(have.file) {
            return violation("claims out of order");
        }
        self.have_floor = have.file + 1;
        let grows = self.manifest.is_growing();
        if have.whole {
            if !have.segments.is_empty() || !have.hashes.is_empty() {
                return violation("segments of a file that is held whole");
            }
            if grows && self.growth.end.is_none() {
                return violation("all of a file that is still growing");
            }
            self.plan.whole.insert(have.file);
        } else {
            let most = if grows { self.growth.segments } else { segments(size) };
            let held = self.plan.held.entry(have.file).or_default();
            held.claim(&have.segments, &have.hashes, most)?;
        }
        Ok(())
    }

    fn renamed(&mut self, item: &Renamed) -> Result<(), Violation> {
        if item.entry >= self.manifest.len() || !self.renamed.insert(item.entry) {
            return violation("another name for what was not offered, or twice");
        }
        names::check(&item.name).map_err(|error| Violation(error.to_string()))
    }

    fn received(&mut self, item: &FileReceived) -> Result<(), Violation> {
        if !self.plan.wants(&self.manifest, item.file) || !self.reported.insert(item.file) {
            return violation("a report on a file that was not sent, or twice");
        }
        if item.failure.is_none() {
            if !self.told.contains(item.file) {
                return violation("a file cannot have been verified yet");
            }
            self.good_files += 1;
            self.good_bytes += self.length(item.file);
        }
        self.left = self.left.saturating_sub(1);
        Ok(())
    }

    /// Records that the receiver is about to be told that this file was sent whole.
    pub fn telling(&mut self, file: u32) {
        self.told.insert(file);
    }

    /// Records that `Finished` is about to be sent.
    pub fn finishing(&mut self) {
        if self.stage == SenderStage::Sending {
            self.stage = SenderStage::Finished;
        }
    }

    /// Ends the machine: every further frame is a violation.
    pub fn end(&mut self) {
        self.stage = SenderStage::Ended;
    }
}

#[cfg(test)]
mod tests;
