//! A load or a set of idle connections: starts, watches and joins the threads.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use serde_json::Value;

use crate::clock;
use crate::plan::{Plan, PlanError, Purpose};
use crate::report;
use crate::stats::SharedStats;
use crate::stats::ThreadStats;
use crate::transport::Encryption;
use crate::worker::{ArrivalQueue, UnfinishedWork, Worker, WorkerConfig, WorkerResult};

/// Error of `Load::start` or `Load::finish`.
#[derive(Debug)]
pub enum LoadError {
    /// Started twice.
    Started,
    /// Not started.
    NotStarted,
    /// A thread panicked or epoll failed: a bug of the engine.
    Defect(String),
    /// The operating system refused a thread or a descriptor.
    Os(io::Error),
}

/// Connections that work through a plan on their own threads.
#[derive(Debug)]
pub struct Load {
    plan: Arc<Plan>,
    encryption: Option<Encryption>,
    purpose: Purpose,
    queue: Arc<Mutex<ArrivalQueue>>,
    state: Mutex<LoadState>,
    shared: Mutex<Option<Arc<SharedStats>>>,
}

#[derive(Debug)]
enum LoadState {
    New,
    Running(Vec<JoinHandle<io::Result<WorkerResult>>>),
    Ended(Result<String, String>),
}

impl Load {
    /// Read the plan. Starts nothing.
    ///
    /// # Errors
    /// The plan is wrong.
    pub fn new(plan: &str, purpose: Purpose) -> Result<Self, PlanError> {
        let plan = Plan::from_json(plan, purpose)?;
        Ok(Self {
            encryption: Encryption::of(&plan)?,
            plan: Arc::new(plan),
            purpose,
            queue: Arc::default(),
            state: Mutex::new(LoadState::New),
            shared: Mutex::new(None),
        })
    }

    /// Start the threads.
    ///
    /// # Errors
    /// Started before, or the operating system refuses a thread or a descriptor.
    pub fn start(&self) -> Result<(), LoadError> {
        let mut state = lock(&self.state);
        if !matches!(*state, LoadState::New) {
            return Err(LoadError::Started);
        }
        let shared = Arc::new(SharedStats::new(&self.plan, clock::now()));
        let config = WorkerConfig {
            plan: Arc::clone(&self.plan),
            encryption: self.encryption.clone(),
            shared: Arc::clone(&shared),
            purpose: self.purpose,
            queue: Arc::clone(&self.queue),
        };
        let mut workers = Vec::new();
        for thread in 0..self.plan.threads {
            workers.push(Worker::new(config.clone(), thread).map_err(LoadError::Os)?);
        }
        let mut threads = Vec::new();
        for worker in workers {
            let builder = Builder::new().name("bench-engine".to_owned());
            match builder.spawn(move || worker.run()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shared.stop();
                    return Err(LoadError::Os(error));
                }
            }
        }
        *lock(&self.shared) = Some(shared);
        *state = LoadState::Running(threads);
        Ok(())
    }

    /// Return the snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        let shared = lock(&self.shared).clone();
        shared.map_or_else(report::waiting, |shared| {
            report::snapshot(&shared, clock::now())
        })
    }

    /// Return the state of idle connections.
    #[must_use]
    pub fn idle_state(&self) -> Value {
        let dropped = lock(&self.queue).dropped;
        let shared = lock(&self.shared).clone();
        let connections = self.plan.connections;
        let shared = shared.unwrap_or_else(|| Arc::new(SharedStats::new(&self.plan, 0)));
        report::idle_state(&shared, connections, dropped)
    }

    /// Return the arrivals since the last call.
    #[must_use]
    pub fn arrivals(&self) -> Vec<(u32, u64, u32)> {
        std::mem::take(&mut lock(&self.queue).arrivals)
    }

    /// End the load early, without waiting.
    pub fn stop(&self) {
        if let Some(shared) = &*lock(&self.shared) {
            shared.stop();
        }
    }

    /// Wait for the end, and return the report.
    ///
    /// # Errors
    /// Not started, or a thread has failed.
    pub fn finish(&self) -> Result<String, LoadError> {
        let mut state = lock(&self.state);
        let threads = match std::mem::replace(&mut *state, LoadState::New) {
            LoadState::New => return Err(LoadError::NotStarted),
            LoadState::Running(threads) => threads,
            LoadState::Ended(report) => {
                *state = LoadState::Ended(report.clone());
                return report.map_err(LoadError::Defect);
            }
        };
        let shared = lock(&self.shared).clone().ok_or(LoadError::NotStarted)?;
        let report = self.join(threads, &shared);
        *state = LoadState::Ended(report.clone());
        report.map_err(LoadError::Defect)
    }

    fn join(
        &self,
        threads: Vec<JoinHandle<io::Result<WorkerResult>>>,
        shared: &Arc<SharedStats>,
    ) -> Result<String, String> {
        let mut stats = ThreadStats::new(&self.plan, Arc::clone(shared), clock::now());
        let mut unfinished = UnfinishedWork::default();
        let mut defect = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok(result)) => {
                    stats.merge(&result.stats);
                    unfinished.in_flight += result.unfinished.in_flight;
                    unfinished.oldest = unfinished.oldest.max(result.unfinished.oldest);
                    unfinished.backlog += result.unfinished.backlog;
                }
                Ok(Err(error)) => defect = Some(format!("epoll: {error}")),
                Err(_) => defect = Some("a thread of the engine panicked".to_owned()),
            }
            if defect.is_some() {
                shared.stop(); // the other threads would wait for this one
            }
        }
        match defect {
            Some(defect) => Err(defect),
            None => Ok(report::report(&self.plan, shared, &stats, &unfinished).to_string()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
