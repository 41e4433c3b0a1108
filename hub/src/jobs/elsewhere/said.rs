//! What an attempt on a cluster says: asked for whole, without what nobody may see.
//!
//! Must never break: no secret of the job and no token that it was given passes, though whoever runs it there hides nothing.

use tern_compute::{
    job::{AttemptKey, SHOWN},
    kubernetes,
    local::Mask,
    ray,
};
use tern_protocol::{id::JobId, rest::ComputeKind};

use super::{
    super::{
        JobsError, TOKEN_PREFIX,
        client::{ANSWER, Clients},
        computes::Compute,
        rows, submit,
    },
    attempt::name,
};
use crate::app::App;

/// Bytes of a log that are kept.
const LOG: usize = 10 * 1024 * 1024;

/// So many letters after the beginning of a token make it one: it has more, and nothing else has as many.
const TOKEN: usize = 16;

/// What stands where a log was not read on.
const CUT: &str = "\n[tern] what comes after this was not read: a log on a cluster is read whole, and this one is too long\n";

/// Beginning and end of a log, and how much of it is the beginning.
pub(super) fn shortened(mut text: Vec<u8>) -> (Vec<u8>, u64) {
    if text.len() <= LOG {
        let head = text.len() as u64;
        return (text, head);
    }
    let head = LOG / 5;
    let tail = text.split_off(text.len() - (LOG - head));
    text.truncate(head);
    text.extend(tail);
    (text, head as u64)
}

/// What was read of a log, with what nobody may see.
#[derive(Default)]
struct Read {
    text: String,
    /// Whether there is more, or may be.
    more: bool,
}

async fn read(clients: &Clients, compute: &Compute, name: &str) -> Result<Read, String> {
    if compute.settings.kind == ComputeKind::Ray {
        let answer = clients.ask(compute, ray::logs(name)).await?;
        let text = if answer.is_cut {
            ray::log_so_far(answer.status, &answer.body)
        } else {
            ray::log(answer.status, &answer.body)
        };
        return Ok(Read {
            text: text.unwrap_or_default(),
            more: answer.is_cut,
        });
    }
    let Some(cluster) = compute.cluster() else {
        return Ok(Read::default());
    };
    let pods = clients
        .ask(compute, kubernetes::pods(&cluster, name))
        .await?;
    let Some(pod) = kubernetes::pod(pods.status, &pods.body) else {
        return Ok(Read::default());
    };
    let most = ANSWER / 2;
    let of = kubernetes::log(&cluster, &pod, most);
    let answer = clients.ask(compute, of).await?;
    if answer.status != 200 {
        return Ok(Read::default());
    }
    Ok(Read {
        more: answer.is_cut || answer.body.len() as u64 >= most,
        text: answer.body,
    })
}

/// All that an attempt has said when it has ended; why the cluster does not tell.
pub(super) async fn said(
    app: &App,
    clients: &Clients,
    compute: &Compute,
    name: &str,
    job: JobId,
) -> Result<Result<String, String>, JobsError> {
    let read = match read(clients, compute, name).await {
        Ok(read) => read,
        Err(why) => return Ok(Err(why)),
    };
    let mut clean = hidden(app, job, &read).await?;
    if read.more {
        clean.push_str(CUT);
    }
    Ok(Ok(clean))
}

/// What one that runs has said so far, for whoever follows it; nothing if the cluster does not tell.
pub(in crate::jobs) async fn log(
    app: &App,
    compute: &Compute,
    mark: &str,
    key: AttemptKey,
) -> Result<Option<String>, JobsError> {
    let name = name(compute.settings.kind, mark, key);
    let Ok(mut read) = read(&app.jobs.clients(), compute, &name).await else {
        return Ok(None);
    };
    read.more = true;
    hidden(app, key.job, &read).await.map(Some)
}

/// A text without secrets, and without what may be the beginning of one if there is more.
async fn hidden(app: &App, job: JobId, read: &Read) -> Result<String, JobsError> {
    let documents = rows::documents(app.store.read(), job).await?;
    let secrets = documents.and_then(|documents| documents.secrets);
    // What cannot be opened was handed to no cluster.
    let secrets = submit::opened(app, job, secrets).unwrap_or_default();
    let mut mask = Mask::of(secrets.into_values());
    let mut clean = mask.pass(read.text.as_bytes());
    if !read.more {
        clean.extend(mask.finish());
    }
    Ok(without_tokens(&String::from_utf8_lossy(&clean)))
}

/// Of tokens the hub keeps digests alone, but they show by how they begin.
fn without_tokens(text: &str) -> String {
    let mut parts = text.split(TOKEN_PREFIX);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let rest = part.trim_start_matches(letter);
        let is_token = part.len() - rest.len() >= TOKEN;
        clean.push_str(if is_token { SHOWN } else { TOKEN_PREFIX });
        clean.push_str(if is_token { rest } else { part });
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let (kept, head) = shortened(vec![b'a'; 10]);
        assert_eq!((kept.len(), head), (10, 10));
        let mut long = vec![b'a'; LOG];
        long.extend([b'z'; 100]);
        let (kept, head) = shortened(long);
        assert_eq!((kept.len(), head), (LOG, (LOG / 5) as u64));
        assert_eq!(
            (kept[0], kept[LOG - 1], kept[LOG - 101]),
            (b'a', b'z', b'a')
        );
    }

    #[test]
    fn tokens_are_hidden_and_what_only_begins_like_one_is_not() {
        let token = format!("{TOKEN_PREFIX}{}", "aB3-_".repeat(8));
        let text = format!("set to {token}.\nand '{token}', {TOKEN_PREFIX}short {TOKEN_PREFIX}");
        let clean = format!("set to {SHOWN}.\nand '{SHOWN}', {TOKEN_PREFIX}short {TOKEN_PREFIX}");
        assert_eq!(without_tokens(&text), clean);
        assert_eq!(without_tokens("plain"), "plain");
    }
}
