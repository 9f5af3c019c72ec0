"""What protects callers from faults, each with the test that fails without it.

`make protections` takes every protection out of a copy of the tree, by itself, and runs its test, which must fail. The
list is printed into `docs/reliability.md`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protection:
    """`old`, which stands once in `file`, is the protection; `new` in its place is the code without it."""

    name: str
    file: str
    old: str
    new: str
    test: str


_C, _G, _H, _E, _R = "tests/cache", "tests/gateway", "tests/http", "tests/engine", "tests/runners"
_DRAIN, _FLIGHT = f"{_H}/edge/test_drain.py", f"{_G}/test_single_flight.py"

PROTECTIONS = (
    # -- Redis and what is stored
    Protection(
        "a Redis that fails is not called for a while",
        "cache/guarded_redis.py",
        "if not self._breaker.allow():",
        "if self._breaker.allow() is None:",
        f"{_C}/test_answer_cache.py::test_a_redis_that_is_gone",
    ),
    Protection(
        "a call to Redis has one short time",
        "cache/guarded_redis.py",
        "async with asyncio.timeout(timeout or self._timeout):",
        "async with asyncio.timeout(None):",
        f"{_C}/test_answer_cache.py::test_a_redis_that_answers_slowly_but_steadily_is_not_waited_for",
    ),
    Protection(
        "whatever Redis' client raises is a miss",
        "cache/guarded_redis.py",
        "except Exception as error:  # a broken",
        "except OSError as error:  # a broken",
        f"{_C}/test_answer_cache.py::test_a_redis_that_hangs_or_is_none",
    ),
    Protection(
        "a stored value that is no answer is a miss",
        "cache/answer_cache.py",
        "    except ValidationError:\n        return None",
        "    except KeyError:\n        return None",
        f"{_C}/test_answer_cache.py::test_a_foreign_value_is_a_miss",
    ),
    Protection(
        "answers over 64 KiB are not stored",
        "cache/answer_cache.py",
        " and len(value) <= _MAX_VALUE_BYTES}",
        "}",
        f"{_C}/test_answer_cache.py::test_too_large_answers_are_not_stored",
    ),
    Protection(
        "a stored answer expires",
        "cache/answer_cache.py",
        "await redis.set(key, value, ex=self._ttl)",
        "await redis.set(key, value)",
        f"{_C}/test_answer_cache.py::test_an_entry_expires_after_the_ttl",
    ),
    Protection(
        "the wait for a failing Redis grows",
        "cache/breaker.py",
        "min(2 * self._cooldown, self._max_cooldown)",
        "self._cooldown",
        f"{_C}/test_breaker.py::test_each_failed_trial_doubles_the_cooldown_up_to_the_maximum",
    ),
    Protection(
        "a key has which weights answered",
        "cache/keys.py",
        '"weights": identity.fingerprint,',
        '"weights": "",',
        f"{_C}/test_keys.py::test_whatever_an_answer_depends_on_changes_the_key",
    ),
    Protection(
        "what was drawn at random is not stored",
        "cache/keys.py",
        "if identity.fingerprint is None or not job.sampling.repeatable:",
        "if identity.fingerprint is None:",
        f"{_C}/test_keys.py::test_there_is_no_key_for_unrepeatable_sampling",
    ),
    Protection(
        "an answer of other weights is not stored under the old key",
        "looksee/gateway/answering.py",
        "if key is not None and served.identity == identity and",
        "if key is not None and",
        f"{_G}/test_answering.py::test_answers_of_other_weights_are_given_but_not_stored_under_the_old_key",
    ),
    # -- the gateway
    Protection(
        "what cannot be repeated is shared with nobody",
        "looksee/gateway/answering.py",
        "shared = key or object()",
        'shared = key or "any"',
        f"{_G}/test_answering.py::test_an_answer_that_cannot_be_had_again_is_neither_stored_nor_shared",
    ),
    Protection(
        "a streamed text that changes is an error",
        "looksee/gateway/answering.py",
        "if not result.answer.text.startswith(sent):",
        "if sent is None:",
        f"{_G}/test_streaming.py::test_a_text_that_goes_another_way_when_it_is_begun_anew_is_an_error",
    ),
    Protection(
        "who shares a run keeps its own deadline",
        "looksee/gateway/single_flight.py",
        "timeout=left)",
        "timeout=None)",
        f"{_FLIGHT}::test_who_has_less_time_than_the_run_leaves_by_itself",
    ),
    Protection(
        "a run that ends for the impatient begins anew for the others",
        "looksee/gateway/single_flight.py",
        "if last <= max(until, now) + _SAME:",
        "if True:",
        f"{_FLIGHT}::test_who_has_more_time_than_the_run_has_it_begun_anew",
    ),
    Protection(
        "nobody joins a run that is being cancelled",
        "looksee/gateway/single_flight.py",
        "self._forget(key, run)  # before",
        "pass  # before",
        f"{_FLIGHT}::test_who_comes_while_a_run_is_being_cancelled_gets_an_answer",
    ),
    Protection(
        "a job of a lost connection is sent again",
        "looksee/gateway/runners/channel.py",
        "again = [one for one in left if lost and one.may_be_sent_again(trouble, alone=alone)]",
        "again = []",
        f"{_G}/runners/test_channel.py::test_a_lost_connection_is_tried_once_more",
    ),
    Protection(
        "who has heard the beginning is not told it again",
        "looksee/gateway/runners/call.py",
        "return not self.streamed and self.starts <",
        "return self.starts <",
        f"{_G}/runners/test_channel.py::test_who_has_heard_something_is_not_told_from_the_start_again",
    ),
    Protection(
        "a job that kills its runner is started twice at most",
        "looksee/gateway/runners/call.py",
        "self.starts < (_MOST_STARTS_ALONE if alone else _MOST_STARTS)",
        "self.starts < 9",
        f"{_G}/runners/test_channel.py::test_a_job_is_started_twice_at_most",
    ),
    Protection(
        "no more jobs are pending than there is room for",
        "looksee/gateway/runners/channel.py",
        "if not self.has_room:",
        "if self._pending < 0:",
        f"{_G}/runners/test_channel.py::test_no_more_jobs_are_taken_than_there_is_room_for",
    ),
    Protection(
        "jobs of a host that is cut off are given to another",
        "looksee/gateway/runners/replica.py",
        "                self.channel.give_up()",
        "                pass",
        f"{_G}/runners/test_replicas.py::test_a_host_that_is_cut_off_under_load_costs_nobody_an_answer",
    ),
    Protection(
        "what may have killed a process is not given to another runner",
        "looksee/gateway/runners/channel.py",
        "staying = [] if nowhere else",
        "staying = [] if lost else",
        f"{_G}/runners/test_replicas.py::test_a_job_that_kills_its_runner_is_not_sent_to_another",
    ),
    Protection(
        "jobs of a runner that was killed are tried alone elsewhere",
        "looksee/gateway/runners/channel.py",
        "(self._moved if suspect else self._queue)",
        "(self._queue)",
        f"{_G}/runners/test_channel.py::test_what_may_have_ended_another_runner_is_tried_in_a_call_of_its_own",
    ),
    Protection(
        "a runner that does not answer is left out",
        "looksee/gateway/runners/replica.py",
        "        self.up = up\n",
        "        self.up = True\n",
        f"{_G}/runners/test_replicas.py::test_a_runner_that_does_not_answer_is_left_out_and_taken_back",
    ),
    Protection(
        "a runner asks for its key",
        "runners/guarding/key_guard.py",
        "if right and path not in _OPEN:",
        "if False:",
        f"{_R}/guarding/test_key_guard.py::test_without_the_key_nothing_is_answered",
    ),
    Protection(
        "a runner reads no pickle over a network",
        "runners/guarding/key_guard.py",
        "_PICKLE in value.lower()",
        "False",
        f"{_R}/test_served_alone.py::test_a_pickle_is_refused",
    ),
    # -- the edge and what comes in
    Protection(
        "JSON has a limit of values",
        "looksee/http/edge/exchange.py",
        "if self._values > self._max_values:",
        "if self._values < 0:",
        f"{_H}/edge/test_middleware.py::test_json_has_no_more_values_than_it_may",
    ),
    Protection(
        "an unpacked body has the limit of any",
        "looksee/http/edge/exchange.py",
        "        if self._size > self._max_body:",
        "        if self._size < 0:",
        f"{_H}/edge/test_content_encoding.py::test_what_unpacks_to_too_much_is_cut_off",
    ),
    Protection(
        "an upload has an end",
        "looksee/http/edge/middleware.py",
        "async with asyncio.timeout(longest) as clock:",
        "async with asyncio.timeout(None) as clock:",
        f"{_H}/test_deadlines.py::test_an_upload_that_never_ends_is_stopped_all_the_same",
    ),
    Protection(
        "a path that is not named asks for a key",
        "looksee/http/edge/route_table.py",
        "return path not in self.open_paths and not",
        'return path.startswith("/v1") and not',
        f"{_H}/edge/access/test_auth.py::test_with_keys_whatever_is_not_named_asks_for_one_before_anything_is_read",
    ),
    Protection(
        "an address with a line's end in it is none of ours",
        "looksee/http/edge/route_table.py",
        'path = _CONTROL.sub("\\ufffd", path)',
        "pass",
        f"{_H}/edge/test_addresses.py::test_slashes_too_many_are_none",
    ),
    Protection(
        "a clock that is set changes no count of requests",
        "looksee/http/edge/access/rate_limit.py",
        "divmod(time.monotonic(), seconds)",
        "divmod(time.time(), seconds)",
        f"{_H}/edge/access/test_rate_limit.py::test_a_clock_that_is_set_gives_nobody_requests_and_takes_none",
    ),
    Protection(
        "a service that is stopped takes nothing more",
        "looksee/http/edge/drain.py",
        "if self.begun and path not in _STILL_ANSWERED:",
        "if path is None:",
        f"{_DRAIN}::test_nothing_more_is_taken_and_readyz_says_so",
    ),
    Protection(
        "a service that is stopped waits for what it accepted",
        "looksee/http/edge/drain.py",
        "                while self._unfinished:",
        "                while False:",
        f"{_DRAIN}::test_what_was_accepted_is_answered_and_the_end_waits_for_it",
    ),
    Protection(
        "whoever is not answered by then is told so",
        "looksee/http/edge/drain.py",
        "request.stop(stopping())",
        "request.hurry(0)",
        f"{_DRAIN}::test_what_is_left_when_the_time_is_over_is_told_so",
    ),
    Protection(
        "a stream that is stopped ends with an event",
        "looksee/http/edge/exchange.py",
        "        if self._events:",
        "        if self._events is None:",
        f"{_DRAIN}::test_what_is_left_when_the_time_is_over_is_told_so",
    ),
    Protection(
        "a refusal arrives although the body is still sent",
        "looksee/http/edge/middleware.py",
        "await exchange.discard()",
        "pass",
        f"{_DRAIN}::test_the_body_of_a_refused_request_is_read_so_that_its_answer_arrives",
    ),
    Protection(
        "a caller that leaves ends its work",
        "looksee/http/disconnect.py",
        "        await stop(working, watching)",
        "        pass",
        f"{_H}/test_disconnect.py::test_a_caller_who_leaves_cancels_the_work",
    ),
    Protection(
        "a picture has a limit of pixels, by its header",
        "looksee/core/images/examine.py",
        "if width * height > limits.pixels:",
        "if width < 0:",
        "tests/core/images/test_examine.py::test_too_many_pixels_are_seen_in_the_header",
    ),
    Protection(
        "no picture is fetched from where a name leads inward",
        "looksee/http/inputs/fetching.py",
        "if not self._allowlist.reaches(address, found):",
        "if not found:",
        f"{_H}/inputs/test_fetching.py::test_a_name_that_leads_inward_is_not_connected_to",
    ),
    # -- the end of the processes
    Protection(
        "the gateway ends before the runners",
        "looksee/serving/stopping.py",
        "asked = [one for one in watchers if one.name == _GATEWAY]",
        "asked = watchers",
        "tests/serving/test_stopping.py::test_the_gateway_ends_first_and_the_sockets_go_last",
    ),
    Protection(
        "a second signal kills all processes",
        "looksee/serving/stopping.py",
        "_kill(self.iter_watchers())",
        "pass",
        "tests/serving/test_stopping.py::test_the_second_time_all_processes_are_killed",
    ),
    Protection(
        "the first signal ends nothing that was accepted",
        "looksee/serving/stopping.py",
        "left = await drain.finish(seconds)",
        "left = 0",
        "tests/serving/test_stopping.py::test_the_first_signal_drains_and_then_stops_the_server",
    ),
    # -- the engine
    Protection(
        "a row whose logits are not finite gets no answer",
        "looksee/engine/batch.py",
        "if (error := row.model_row.error) is None:",
        "if (error := None) is None:",
        f"{_E}/test_engine.py::test_a_row_without_finite_logits_fails_alone",
    ),
    Protection(
        "logits that are not finite have no token",
        "looksee/models/sampling.py",
        "return chosen.where(best.isfinite(), -1)",
        "return chosen",
        "tests/models/test_sampling.py::test_logits_that_are_not_finite_have_no_token",
    ),
    Protection(
        "a row of a failed batch is tried alone",
        "looksee/engine/batch.py",
        "            self._recover(rows, error)",
        "            [self._fail(row, error) for row in rows]",
        f"{_E}/test_engine.py::test_rows_survive_a_step_that_fails_once",
    ),
    Protection(
        "rows for which memory ran out wait for it",
        "looksee/engine/batch.py",
        "self._requeued[:0] = [row for row in rows if not row.has_ended]",
        '[self._fail(row, errors.RunnerFailed("lost")) for row in rows if not row.has_ended]',
        f"{_E}/test_engine.py::test_when_a_step_runs_out_of_memory_the_batch_shrinks_and_no_row_is_lost",
    ),
    Protection(
        "a full queue refuses at once",
        "looksee/engine/admission.py",
        "if self.calls >= self.limits.queue + self.limits.rows:",
        "if self.calls < 0:",
        f"{_E}/test_engine.py::test_a_full_queue_refuses_at_once_and_says_when_to_retry",
    ),
    Protection(
        "an overdue row is dropped",
        "looksee/engine/replies.py",
        "if now >= row.deadline:",
        "if now < 0:",
        f"{_E}/test_engine.py::test_an_overdue_row_is_dropped_and_answered",
    ),
    # -- runners and weights
    Protection(
        "a lease is released with the weights",
        "runners/lifecycle.py",
        "            lease.release()",
        "            pass",
        f"{_R}/test_runner.py::test_an_idle_model_releases_its_lease_at_once",
    ),
    Protection(
        "a load that failed is not tried by every request",
        "runners/runner.py",
        "started < self._failed_at + settings().load_retry_seconds:",
        "started < 0:",
        f"{_R}/test_runner.py::test_a_failed_load_fails_all_waiting_calls_and_is_retried_later",
    ),
    Protection(
        "a process whose libraries were imported half-way is replaced",
        "runners/lifecycle.py",
        "useless = isinstance(error, ImportsFailed)",
        "useless = False",
        f"{_R}/test_runner.py::test_a_process_whose_libraries_are_imported_half_way_is_replaced",
    ),
    Protection(
        "a call that is cancelled while it is admitted is not counted",
        "runners/admission_gate.py",
        "                self.leave()\n            raise",
        "                pass\n            raise",
        f"{_R}/test_admission_gate.py::test_a_call_cancelled_in_the_moment_of_its_admission_is_not_active",
    ),
    Protection(
        "every job of a call has a reply",
        "runners/calls.py",
        "except Exception:  # the gateway waits",
        "except KeyError:  # the gateway waits",
        f"{_R}/test_calls.py::test_an_exception_of_the_runner_is_a_failure_of_the_job",
    ),
    Protection(
        "a job that was called off before it arrived is not begun",
        "runners/calls.py",
        "if ask_id not in self._cancelled_early:",
        "if ask_id is not None:",
        f"{_R}/test_calls.py::test_a_job_may_be_cancelled_before_it_arrives",
    ),
    Protection(
        "a checkpoint that lacks tensors is refused",
        "looksee/models/transformers/checkpoint.py",
        "    if missing:",
        "    if missing is None:",
        "tests/faults/machine/test_weights.py::test_a_checkpoint_that_lacks_tensors_never_answers",
    ),
    Protection(
        "a file that arrived damaged is thrown away",
        "looksee/models/weights/hub.py",
        'if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:',
        "if file.size < 0:",
        "tests/cli/test_commands.py::test_damage_is_noticed_and_thrown_away",
    ),
    Protection(
        "a download that has no room is not begun",
        "looksee/models/weights/hub.py",
        "if total - here > free:",
        "if total < 0:",
        "tests/cli/test_commands.py::test_what_cannot_be_fetched_is_told_in_a_sentence",
    ),
    Protection(
        "a line that was cut spoils no other",
        "looksee/cli/record.py",
        "if not whole:",
        "if whole is None:",
        "tests/cli/test_record.py::test_a_line_that_was_cut_does_not_spoil_the_next",
    ),
)
