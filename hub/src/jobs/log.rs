//! The log of a job, from a place on: while it runs from where it is written, later from what was kept of it.
//!
//! Places count all bytes that were ever written, kept or not, so that whoever follows a log goes on by the same numbers
//! when the job has ended meanwhile.

use std::time::Duration;

use bytes::Bytes;
use tern_compute::local::LogPart;
use tern_protocol::{
    id::{JobId, WorkspaceId},
    rest::{ComputeKind, JobLog},
};
use tokio::time::Instant;

use super::{
    JobsError, computes, elsewhere,
    rows::{self, AttemptRow, JobRow},
};
use crate::app::App;

/// Bytes of one answer, at most.
pub const MOST: usize = 256 * 1024;

/// Longest that somebody waits for more. Below what proxies take for dead.
pub const LONGEST: Duration = Duration::from_secs(25);

/// Between two looks whether there is more.
const LOOK: Duration = Duration::from_millis(150);

/// The same of a cluster, which gives all of it each time.
const LOOK_ELSEWHERE: Duration = Duration::from_secs(2);

/// Reads some of a log: of this attempt, or of the last. Waits so long for more if there is nothing yet.
pub async fn read(
    app: &App,
    workspace: &WorkspaceId,
    id: JobId,
    attempt: Option<u32>,
    offset: u64,
    most: usize,
    wait: Duration,
) -> Result<JobLog, JobsError> {
    let until = Instant::now() + wait.min(LONGEST);
    loop {
        let row = rows::of(app.store.read(), workspace, id).await?;
        let row = row.ok_or(JobsError::NoJob(id))?;
        let (found, look) = now(app, &row, attempt, offset, most.clamp(1, MOST)).await?;
        let nothing_yet = found.text.is_empty() && !found.over && found.next <= offset;
        if !nothing_yet || Instant::now() + look > until {
            return Ok(found);
        }
        tokio::time::sleep(look).await;
    }
}

async fn now(
    app: &App,
    row: &JobRow,
    attempt: Option<u32>,
    offset: u64,
    most: usize,
) -> Result<(JobLog, Duration), JobsError> {
    let of = match attempt {
        None => row.attempts.last(),
        Some(number) => {
            let found = row.attempts.iter().find(|one| one.number == number);
            let missing = || JobsError::NotFound(format!("job {} has no attempt {number}", row.id));
            Some(found.ok_or_else(missing)?)
        }
    };
    let Some(of) = of else {
        // It waits, or ended without an attempt.
        let empty = JobLog {
            attempt: 0,
            from: 0,
            next: 0,
            total: 0,
            left_out: 0,
            text: String::new(),
            over: row.ended.is_some(),
        };
        return Ok((empty, LOOK));
    };
    if of.ended.is_some() {
        let part = kept(app, of, offset, most).await?;
        return Ok((told(of.number, part, true), LOOK));
    }
    let compute = computes::find(app, app.store.read(), &of.compute).await;
    let key = row.attempt_key(of.number);
    match compute {
        Ok(compute) if compute.settings.kind != ComputeKind::Local => {
            let whole = elsewhere::log(app, &compute, &row.mark, key).await?;
            let part = match whole {
                Some(whole) => so_far(&Bytes::from(whole), offset, most),
                None => unread(offset),
            };
            Ok((told(of.number, part, false), LOOK_ELSEWHERE))
        }
        _ => {
            let part = match app.jobs.local() {
                Ok(local) => {
                    let local = local.clone();
                    let read = tokio::task::spawn_blocking(move || local.log(key, offset, most));
                    read.await.ok().and_then(Result::ok)
                }
                Err(_) => None,
            };
            let part = part.unwrap_or_else(|| unread(offset));
            Ok((told(of.number, part, false), LOOK))
        }
    }
}

/// What was kept, by the places that it had.
async fn kept(app: &App, of: &AttemptRow, offset: u64, most: usize) -> Result<LogPart, JobsError> {
    let Some(digest) = of.log else {
        return Ok(part_of(&Bytes::new(), offset, most));
    };
    let blob = app.blobs.find(digest).await?;
    let left_out = of.log_bytes.saturating_sub(blob.len);
    // Between its head and its tail is what was left out.
    let from = if offset < of.log_head || left_out == 0 {
        offset
    } else {
        offset.max(of.log_head + left_out)
    };
    let place = if from < of.log_head || left_out == 0 {
        from
    } else {
        from - left_out
    };
    let end = if place < of.log_head && left_out > 0 {
        of.log_head
    } else {
        blob.len
    };
    let len = end.saturating_sub(place).min(most as u64);
    let bytes = if len == 0 {
        Bytes::new()
    } else {
        app.blobs.get_range(digest, place, len as usize).await?
    };
    let from = from.min(of.log_bytes);
    Ok(LogPart {
        from,
        next: from + bytes.len() as u64,
        bytes: bytes.to_vec(),
        total: of.log_bytes,
        left_out,
    })
}

/// As [`part_of`], of a log that a cluster gave: one that is shorter than it was is told badly, and read on later.
fn so_far(whole: &Bytes, offset: u64, most: usize) -> LogPart {
    let part = part_of(whole, offset, most);
    LogPart {
        next: part.next.max(offset),
        ..part
    }
}

/// Nothing, of a log that cannot be read now: whoever follows it goes on from where they are.
const fn unread(offset: u64) -> LogPart {
    LogPart {
        from: offset,
        next: offset,
        bytes: Vec::new(),
        total: 0,
        left_out: 0,
    }
}

/// A part of a log that is there whole.
fn part_of(whole: &Bytes, offset: u64, most: usize) -> LogPart {
    let total = whole.len() as u64;
    let from = offset.min(total);
    let start = usize::try_from(from).unwrap_or(whole.len());
    let end = start.saturating_add(most).min(whole.len());
    let bytes = whole[start..end].to_vec();
    LogPart {
        from,
        next: end as u64,
        bytes,
        total,
        left_out: 0,
    }
}

/// As text. Bytes at the end that may be the beginning of a letter wait for the rest of it, unless nothing more comes.
fn told(attempt: u32, mut part: LogPart, over: bool) -> JobLog {
    let at_end = part.next >= part.total;
    if !(over && at_end)
        && let Err(err) = std::str::from_utf8(&part.bytes)
    {
        let whole = err.valid_up_to();
        let unfinished = part.bytes.len() - whole;
        // What no more byte makes a letter is none.
        if err.error_len().is_none() && unfinished < part.bytes.len() {
            part.bytes.truncate(whole);
            part.next -= unfinished as u64;
        }
    }
    JobLog {
        attempt,
        from: part.from,
        next: part.next,
        total: part.total,
        left_out: part.left_out,
        text: String::from_utf8_lossy(&part.bytes).into_owned(),
        over: over && part.next >= part.total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_never_cut() {
        let whole = Bytes::from_static("aé€z".as_bytes());
        let mut at = 0;
        let mut text = String::new();
        while at < whole.len() as u64 {
            let some = told(1, part_of(&whole, at, 4), true);
            assert!(some.next > at, "it goes on");
            text += &some.text;
            at = some.next;
        }
        assert_eq!(text, "aé€z");
        // While it cannot be read nobody loses their place.
        for none in [unread(7), so_far(&Bytes::new(), 7, 100)] {
            let none = told(1, none, false);
            assert_eq!((none.next, none.over, none.text.as_str()), (7, false, ""));
        }
        let more = told(1, so_far(&Bytes::from_static(b"one two"), 4, 100), false);
        assert_eq!((more.from, more.next, more.text.as_str()), (4, 7, "two"));
        // What is no text at all is passed on, and does not stop it.
        let odd = told(1, part_of(&Bytes::from_static(b"\xff\xfe"), 0, 1), false);
        assert_eq!((odd.next, odd.text.as_str()), (1, "\u{fffd}"));
    }
}
