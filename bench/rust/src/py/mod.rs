//! Python bindings. Nothing else in this crate depends on Python.

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::ErrorKind;
use crate::limits::RESPONDER_LITERAL;
use crate::load::{self, LoadError};
use crate::plan::{PlanError, Purpose};
use crate::responder;

impl From<PlanError> for PyErr {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Wrong(_) => PyValueError::new_err(error.to_string()),
            PlanError::NoAddress(_) => PyOSError::new_err(error.to_string()),
        }
    }
}

impl From<LoadError> for PyErr {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Started => PyRuntimeError::new_err("cannot start: started before"),
            LoadError::NotStarted => PyRuntimeError::new_err("cannot finish: not started"),
            LoadError::Defect(what) => PyRuntimeError::new_err(what),
            LoadError::Os(error) => error.into(),
        }
    }
}

#[pyclass(frozen, name = "Load", module = "imapvm_bench._engine")]
struct PyLoad(load::Load);

#[pymethods]
impl PyLoad {
    #[new]
    fn new(py: Python<'_>, plan: &str) -> PyResult<Self> {
        Ok(Self(py.detach(|| load::Load::new(plan, Purpose::Load))?))
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.0.start())?)
    }

    fn snapshot(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.snapshot().to_string())
    }

    fn stop(&self) {
        self.0.stop();
    }

    fn finish(&self, py: Python<'_>) -> PyResult<String> {
        Ok(py.detach(|| self.0.finish())?)
    }
}

#[pyclass(frozen, name = "IdleLoad", module = "imapvm_bench._engine")]
struct PyIdleLoad(load::Load);

#[pymethods]
impl PyIdleLoad {
    #[new]
    fn new(py: Python<'_>, plan: &str) -> PyResult<Self> {
        Ok(Self(py.detach(|| load::Load::new(plan, Purpose::Idle))?))
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.0.start())?)
    }

    fn state(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.idle_state().to_string())
    }

    fn arrivals(&self, py: Python<'_>) -> Vec<(u32, u64, u32)> {
        py.detach(|| self.0.arrivals())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.0.stop();
        match py.detach(|| self.0.finish()) {
            Ok(_) | Err(LoadError::NotStarted) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[pyclass(frozen, name = "Responder", module = "imapvm_bench._engine")]
struct PyResponder(responder::Responder);

#[pymethods]
impl PyResponder {
    #[new]
    #[pyo3(signature = (*, literal = 0))]
    fn new(literal: u64) -> PyResult<Self> {
        if literal > RESPONDER_LITERAL {
            return Err(PyValueError::new_err("literal: at most 1 GiB"));
        }
        let literal = usize::try_from(literal).unwrap_or(0);
        Ok(Self(responder::Responder::new(literal)?))
    }

    #[getter]
    fn port(&self) -> u16 {
        self.0.port()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let kinds = ErrorKind::ALL.iter().map(|kind| kind.name());
    module.add("ERROR_KINDS", PyTuple::new(module.py(), kinds)?)?;
    module.add_class::<PyLoad>()?;
    module.add_class::<PyIdleLoad>()?;
    module.add_class::<PyResponder>()?;
    // PyO3 adds an `__all__`, which the stub would have to repeat.
    module.delattr("__all__")
}
