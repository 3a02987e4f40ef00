//! Budget of blocking threads: short jobs on disks and ciphers, with a limit on how many run at once.

use std::{
    collections::HashMap,
    panic::resume_unwind,
    sync::{Arc, Mutex, Weak},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinHandle},
};

use crate::{clock::Locked as _, id::DeviceId};

/// Maximum number of jobs that run at once.
pub const JOBS: usize = 32;
/// Maximum number of jobs of one device that run at once: three busy devices leave room for others.
pub const JOBS_PER_DEVICE: usize = 8;
/// Maximum number of jobs of one device that wait for a flush: one slow disk leaves threads for its other transfers.
pub const SYNCS_PER_DEVICE: usize = 4;
/// Maximum number of jobs of one transfer that run at once. A transfer to a hanging disk leaves threads for the
/// device's others.
pub const JOBS_PER_TRANSFER: usize = 4;
/// Maximum number of jobs of one transfer that wait for a flush.
const SYNCS_PER_TRANSFER: usize = 1;
/// Maximum number of long file reads of all devices.
const LOOKS: usize = JOBS / 2;
/// Maximum number of long file reads among the jobs of one device, such as hashing existing files, so that its other
/// transfers proceed.
pub const LOOKS_PER_DEVICE: usize = 4;

/// The blocking threads of a process.
#[derive(Debug)]
pub struct Threads {
    all: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    devices: Mutex<HashMap<DeviceId, Weak<Device>>>,
}

#[derive(Debug)]
struct Device {
    jobs: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    syncs: Arc<Semaphore>,
}

impl Default for Threads {
    fn default() -> Self {
        let of = |count| Arc::new(Semaphore::new(count));
        Self { all: of(JOBS), looks: of(LOOKS), devices: Mutex::default() }
    }
}

impl Threads {
    /// Returns the share of a device, which all of its transfers use.
    pub fn of(&self, device: DeviceId) -> Worker {
        let mut devices = self.devices.locked();
        let known = devices.get(&device).and_then(Weak::upgrade);
        let own = known.unwrap_or_else(|| {
            devices.retain(|_, known| known.strong_count() > 0);
            let own = Arc::new(Device {
                jobs: Arc::new(Semaphore::new(JOBS_PER_DEVICE)),
                looks: Arc::new(Semaphore::new(LOOKS_PER_DEVICE)),
                syncs: Arc::new(Semaphore::new(SYNCS_PER_DEVICE)),
            });
            devices.insert(device, Arc::downgrade(&own));
            own
        });
        Worker { transfer: None, own, all: self.all.clone(), looks: self.looks.clone() }
    }
}

/// Runs jobs of one device. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Jobs and flushes of one transfer.
    transfer: Option<(Arc<Semaphore>, Arc<Semaphore>)>,
    own: Arc<Device>,
    all: Arc<Semaphore>,
    looks: Arc<Semaphore>,
}

impl Worker {
    /// Returns the share of one transfer: if it hangs on its disk, its device still has threads.
    #[must_use]
    pub fn of_transfer(&self) -> Self {
        let of = |count| Arc::new(Semaphore::new(count));
        Self { transfer: Some((of(JOBS_PER_TRANSFER), of(SYNCS_PER_TRANSFER))), ..self.clone() }
    }

    /// Waits for a thread and runs a job on it. The job must end by itself: it may wait for a disk, but neither for a
    /// peer nor for another job. A panic in it is resumed in the caller.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match self.guarded(work).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Runs a job for callers that continue after a panic in it.
    ///
    /// # Errors
    /// When the job panicked, or the runtime is shutting down.
    pub async fn guarded<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        // The narrowest limit first: while waiting for it, nothing is taken from others.
        let of_transfer = match &self.transfer {
            Some((jobs, _)) => turn(jobs).await,
            None => None,
        };
        let turns = (of_transfer, turn(&self.own.jobs).await, turn(&self.all).await);
        // Released with the end of the job, and not when the caller stops waiting.
        let work = move || {
            let _turns = turns;
            work()
        };
        tokio::task::spawn_blocking(work).await
    }

    /// Runs a job that may wait for a flush of the disk.
    pub async fn run_slow<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let of_transfer = match &self.transfer {
            Some((_, syncs)) => turn(syncs).await,
            None => None,
        };
        let sync = (of_transfer, turn(&self.own.syncs).await);
        let work = move || {
            let _sync = sync;
            work()
        };
        self.run(work).await
    }

    /// Runs a job that may take long, on its own task.
    pub fn look<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let this = self.clone();
        tokio::spawn(async move {
            let _look = (turn(&this.own.looks).await, turn(&this.looks).await);
            this.run(work).await
        })
    }
}

async fn turn(of: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // The semaphore is never closed.
    of.clone().acquire_owned().await.ok()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::{task::JoinSet, time::timeout};

    use super::*;

    fn device(number: u8) -> DeviceId {
        DeviceId::of_endpoint(&[number; 32])
    }

    /// Starts jobs that run until they are released.
    fn stuck(workers: &[Worker], of_each: usize) -> (JoinSet<()>, Arc<AtomicUsize>, std::sync::mpsc::Sender<()>) {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (wait, running) = (Arc::new(Mutex::new(wait)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for worker in workers.iter().flat_map(|worker| vec![worker.clone(); of_each]) {
            let (wait, running) = (wait.clone(), running.clone());
            tasks.spawn(async move {
                worker
                    .run(move || {
                        running.fetch_add(1, Ordering::SeqCst);
                        // Ends when the sender is dropped.
                        let _ = wait.lock().map(|wait| wait.recv());
                    })
                    .await;
            });
        }
        (tasks, running, go)
    }

    async fn until(reached: impl Fn() -> bool) {
        timeout(Duration::from_secs(20), async {
            while !reached() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("it is reached in time");
    }

    #[tokio::test]
    async fn three_devices_that_take_all_they_get_leave_room_for_a_fourth() {
        let threads = Threads::default();
        let greedy: Vec<_> = (1..4).map(|number| threads.of(device(number))).collect();
        let (mut tasks, running, go) = stuck(&greedy, 20);
        until(|| running.load(Ordering::SeqCst) == 3 * JOBS_PER_DEVICE).await;
        let fourth = threads.of(device(4));
        assert_eq!(timeout(Duration::from_secs(20), fourth.run(|| 7)).await.expect("it has its own share"), 7);
        assert_eq!(running.load(Ordering::SeqCst), 3 * JOBS_PER_DEVICE, "nobody has more than the share");
        drop(go);
        while tasks.join_next().await.is_some() {}
        assert_eq!(running.load(Ordering::SeqCst), 60, "those who waited had their turn");
    }

    #[tokio::test]
    async fn long_looks_of_a_device_leave_threads_for_its_other_transfers() {
        let threads = Threads::default();
        let worker = threads.of(device(1));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let looks: Vec<_> = (0..2 * JOBS_PER_DEVICE)
            .map(|_| {
                let wait = wait.clone();
                worker.look(move || drop(wait.lock().map(|wait| wait.recv())))
            })
            .collect();
        let short = worker.run(|| "done");
        assert_eq!(timeout(Duration::from_secs(20), short).await.expect("it does not wait for the looks"), "done");
        drop(go);
        for look in looks {
            look.await.unwrap();
        }
    }

    #[tokio::test]
    async fn work_that_waits_for_a_disk_leaves_threads_for_other_work_of_the_device() {
        let worker = Threads::default().of(device(1));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let mut slow = JoinSet::new();
        for _ in 0..2 * JOBS_PER_DEVICE {
            let (worker, wait) = (worker.clone(), wait.clone());
            slow.spawn(async move { worker.run_slow(move || drop(wait.lock().map(|wait| wait.recv()))).await });
        }
        let short = worker.run(|| "done");
        assert_eq!(timeout(Duration::from_secs(20), short).await.expect("it does not wait for the disk"), "done");
        drop(go);
        while slow.join_next().await.is_some() {}
    }

    #[tokio::test]
    async fn a_panic_in_the_work_is_one_of_its_task() {
        let worker = Threads::default().of(device(1));
        let failed = worker.look(|| -> () { panic!("on purpose") }).await;
        assert!(failed.unwrap_err().is_panic());
        assert!(worker.guarded(|| -> () { panic!("on purpose") }).await.unwrap_err().is_panic());
        assert_eq!(worker.run(|| 1).await, 1, "and its place is free again");
    }
}
