//! Health, metrics, beds, alerts and events over HTTP (`docs/http.md`).
//!
//! It reads what the daemon counts and shows, and the journal through a connection that cannot write; signed commands are
//! handed to the desk that takes them over MQTT too. One table
//! ([`routes`]) makes both the router and the document that describes it. A port that is taken stops nothing: the
//! daemon says so and tries again, for watching beds matters more than being asked about it.

mod alerts;
mod app;
mod beds;
mod commands;
mod document;
mod events;
mod guard;
mod health;
mod metrics;
mod page;
mod problem;
mod routes;
mod signal;
mod tls;

pub use app::{App, Parts};

use super::DaemonError;
use crate::config::Http;
use axum::Router;
use axum::serve::Listener;
use guard::Guard;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Wait before a port that was taken is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Where the door is open; `None` while it is not.
#[derive(Debug, Clone, Default)]
pub struct Address(Arc<Mutex<Option<SocketAddr>>>);

impl Address {
    /// The address and port.
    #[must_use]
    pub fn get(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, address: Option<SocketAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

/// All that the daemon serves. A further part adds its own `Router<App>` here.
fn router(app: App, guard: Guard, page: bool) -> Router {
    let page = if page { page::router() } else { Router::new() };
    Router::new()
        .merge(routes::router())
        .merge(page)
        .fallback(problem::no_such_place)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::from_fn_with_state(Arc::new(guard), guard::check))
        .with_state(app)
}

/// Opens the door where the config asks for one, until `stop`.
///
/// # Errors
/// [`DaemonError`] if a file of it cannot be read or used; never for a port that is taken.
pub fn open(
    config: &Http,
    app: App,
    runtime: &tokio::runtime::Runtime,
    mut stop: watch::Receiver<bool>,
) -> Result<Address, DaemonError> {
    let address = Address::default();
    let Some(wanted) = config.address().map_err(|e| DaemonError::Config(format!("http.listen {e}")))? else {
        return Ok(address);
    };
    let guard = Guard::new(config, wanted)?;
    let tls = tls::acceptor(config)?;
    let router = router(app, guard, config.page);
    let told = address.clone();
    runtime.spawn(async move {
        let serve = async {
            let listener = bind(wanted).await;
            told.set(listener.local_addr().ok());
            tracing::info!(address = %told.get().unwrap_or(wanted), tls = tls.is_some(), "http is open");
            match tls {
                None => run(listener, router).await,
                Some(acceptor) => run(tls::Handshaken::new(listener, acceptor), router).await,
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = serve => {}
        }
        told.set(None);
    });
    Ok(address)
}

/// Whether the files of the config can be used.
///
/// # Errors
/// [`DaemonError`] names the file and what is wrong.
pub fn usable(config: &Http) -> Result<(), DaemonError> {
    let Some(wanted) = config.address().map_err(|e| DaemonError::Config(format!("http.listen {e}")))? else {
        return Ok(());
    };
    Guard::new(config, wanted)?;
    tls::acceptor(config).map(drop)
}

async fn bind(wanted: SocketAddr) -> TcpListener {
    let mut failures = 0_u64;
    loop {
        match TcpListener::bind(wanted).await {
            Ok(listener) => return listener,
            Err(fault) => {
                failures += 1;
                if failures.is_power_of_two() {
                    tracing::warn!(address = %wanted, %fault, "no http; set http.listen to another port, or to \"\"");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn run<L: Listener>(listener: L, router: Router)
where
    L::Addr: std::fmt::Debug,
{
    if let Err(fault) = axum::serve(listener, router).await {
        tracing::error!(%fault, "http ended");
    }
}

#[cfg(test)]
mod tests;
