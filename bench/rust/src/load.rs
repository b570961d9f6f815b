//! A load or a crowd of idle connections: threads that are started, watched and joined.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use serde_json::Value;

use crate::board::Board;
use crate::clock;
use crate::plan::{Plan, PlanError, Purpose};
use crate::report;
use crate::tally::Tally;
use crate::transport::Encryption;
use crate::worker::{Common, Harvest, News, Unfinished, Worker};

/// Why a load did not start, or has no report.
#[derive(Debug)]
pub enum LoadError {
    /// It was started before.
    Started,
    /// It was not started.
    NotStarted,
    /// A thread ended as none should: a defect of the engine.
    Defect(String),
    /// The operating system refused a thread or a descriptor.
    Os(io::Error),
}

/// Connections that work through a plan on threads of their own.
#[derive(Debug)]
pub struct Load {
    plan: Arc<Plan>,
    encryption: Option<Encryption>,
    purpose: Purpose,
    news: Arc<Mutex<News>>,
    state: Mutex<State>,
    board: Mutex<Option<Arc<Board>>>,
}

#[derive(Debug)]
enum State {
    New,
    Running(Vec<JoinHandle<io::Result<Harvest>>>),
    Ended(Result<String, String>),
}

impl Load {
    /// Read the plan; nothing is started.
    ///
    /// # Errors
    /// The plan's.
    pub fn new(plan: &str, purpose: Purpose) -> Result<Self, PlanError> {
        let plan = Plan::from_json(plan, purpose)?;
        Ok(Self {
            encryption: Encryption::of(&plan)?,
            plan: Arc::new(plan),
            purpose,
            news: Arc::default(),
            state: Mutex::new(State::New),
            board: Mutex::new(None),
        })
    }

    /// Begin.
    ///
    /// # Errors
    /// It was started before, or the operating system refuses.
    pub fn start(&self) -> Result<(), LoadError> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::New) {
            return Err(LoadError::Started);
        }
        let board = Arc::new(Board::new(&self.plan, clock::now()));
        let common = Common {
            plan: Arc::clone(&self.plan),
            encryption: self.encryption.clone(),
            board: Arc::clone(&board),
            purpose: self.purpose,
            news: Arc::clone(&self.news),
        };
        let mut workers = Vec::new();
        for thread in 0..self.plan.threads {
            workers.push(Worker::new(common.clone(), thread).map_err(LoadError::Os)?);
        }
        let mut threads = Vec::new();
        for worker in workers {
            let builder = Builder::new().name("bench-engine".to_owned());
            match builder.spawn(move || worker.run()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    board.stop();
                    return Err(LoadError::Os(error));
                }
            }
        }
        *lock(&self.board) = Some(board);
        *state = State::Running(threads);
        Ok(())
    }

    /// How it stands.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        let board = lock(&self.board).clone();
        board.map_or_else(report::waiting, |board| {
            report::snapshot(&board, clock::now())
        })
    }

    /// How connections that idle stand.
    #[must_use]
    pub fn idle_state(&self) -> Value {
        let dropped = lock(&self.news).dropped;
        let board = lock(&self.board).clone();
        let connections = self.plan.connections;
        let board = board.unwrap_or_else(|| Arc::new(Board::new(&self.plan, 0)));
        report::idle_state(&board, connections, dropped)
    }

    /// News since the last call.
    #[must_use]
    pub fn arrivals(&self) -> Vec<(u32, u64, u32)> {
        std::mem::take(&mut lock(&self.news).arrivals)
    }

    /// End early. Does not wait.
    pub fn stop(&self) {
        if let Some(board) = &*lock(&self.board) {
            board.stop();
        }
    }

    /// Wait for the end; the report.
    ///
    /// # Errors
    /// It was not started, or a thread has failed.
    pub fn finish(&self) -> Result<String, LoadError> {
        let mut state = lock(&self.state);
        let threads = match std::mem::replace(&mut *state, State::New) {
            State::New => return Err(LoadError::NotStarted),
            State::Running(threads) => threads,
            State::Ended(report) => {
                *state = State::Ended(report.clone());
                return report.map_err(LoadError::Defect);
            }
        };
        let board = lock(&self.board).clone().ok_or(LoadError::NotStarted)?;
        let report = self.join(threads, &board);
        *state = State::Ended(report.clone());
        report.map_err(LoadError::Defect)
    }

    fn join(
        &self,
        threads: Vec<JoinHandle<io::Result<Harvest>>>,
        board: &Arc<Board>,
    ) -> Result<String, String> {
        let mut tally = Tally::new(&self.plan, Arc::clone(board), clock::now());
        let mut unfinished = Unfinished::default();
        let mut defect = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok(harvest)) => {
                    tally.merge(&harvest.tally);
                    unfinished.in_flight += harvest.unfinished.in_flight;
                    unfinished.oldest = unfinished.oldest.max(harvest.unfinished.oldest);
                    unfinished.backlog += harvest.unfinished.backlog;
                }
                Ok(Err(error)) => defect = Some(format!("epoll: {error}")),
                Err(_) => defect = Some("a thread of the engine panicked".to_owned()),
            }
            if defect.is_some() {
                board.stop(); // the others would wait for what that one was to do
            }
        }
        match defect {
            Some(defect) => Err(defect),
            None => Ok(report::report(&self.plan, board, &tally, &unfinished).to_string()),
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
