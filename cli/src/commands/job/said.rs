//! What a job says: so far, or until it is over.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use tern_cli::client::{Client, LogQuery};
use tern_protocol::{
    id::JobId,
    rest::{JobLog, JobState},
};

use super::JobError;
use crate::{
    commands::{Answer, Context},
    out::{Out, OutError, Reader, talk},
    show::{job as show, words},
};

/// How long one question for more of a log waits.
const WAIT: Duration = Duration::from_secs(20);

/// What it has said so far.
pub(super) fn log(
    client: &Client,
    out: &Out,
    id: JobId,
    attempt: Option<u32>,
) -> Result<(), JobError> {
    let mut offset = 0;
    loop {
        let query = LogQuery {
            attempt,
            offset,
            wait: Duration::ZERO,
        };
        let part = client.job_log(id, query)?;
        let end = part.over || part.text.is_empty();
        tell(out, &part, offset)?;
        if end {
            return Ok(());
        }
        offset = part.next;
    }
}

fn tell(out: &Out, part: &JobLog, asked: u64) -> Result<(), JobError> {
    if out.reader == Reader::Program {
        if !part.text.is_empty() {
            out.json_line(part)?;
        }
        return Ok(());
    }
    if part.from > asked {
        let bytes = words::bytes(part.from - asked);
        talk(format_args!("… {bytes} were not kept …"));
    }
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(words::clean(&part.text.replace("\r\n", "\n").replace('\r', "\n")).as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(OutError::from)?;
    Ok(())
}

/// What it says until it is over, attempt by attempt; whether it succeeded.
pub(super) fn follow(
    context: &Context,
    id: JobId,
    attempt: Option<u32>,
) -> Result<Answer, JobError> {
    let (client, out) = (&context.client, &context.out);
    let (mut of, mut offset, mut told) = (attempt, 0, String::new());
    loop {
        let query = LogQuery {
            attempt: of,
            offset,
            wait: WAIT,
        };
        let part = client.job_log(id, query)?;
        if part.attempt > 0 && of != Some(part.attempt) {
            // From here on of this one, so that the next does not come in its middle.
            of = Some(part.attempt);
            if part.attempt > 1 && attempt.is_none() {
                talk(format_args!("attempt {}", part.attempt));
            }
            if offset > 0 {
                offset = 0;
                continue;
            }
        }
        tell(out, &part, offset)?;
        offset = part.next;
        let silent = part.text.is_empty();
        if !(part.over || silent) {
            continue;
        }
        let job = client.job(id)?;
        let of_all = attempt.is_none();
        if job.view.state.is_over() && (part.over || part.attempt == 0) {
            match out.reader {
                Reader::Program => out.json_line(&job)?,
                Reader::Person => talk(show::ended(&job.view)),
            }
            return Ok(if job.view.state == JobState::Succeeded {
                Answer::Yes
            } else {
                Answer::No
            });
        }
        if part.over && !of_all {
            return Ok(Answer::Yes);
        }
        if part.over && job.view.attempts > part.attempt {
            of = None;
            offset = 0;
            continue;
        }
        if out.reader == Reader::Person {
            let now = show::waiting(&job.view);
            if !now.is_empty() && now != told {
                talk(&now);
                told = now;
            }
        }
        if part.over {
            // Between two attempts nothing is said that could be waited for.
            std::thread::park_timeout(Duration::from_millis(500));
        }
    }
}
