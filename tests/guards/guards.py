"""Every guard that a promise rests on. A new one is written down here with its change."""

from tests.guards.guard import Guard

WEB = (
    # who may ask at all
    Guard(
        "Guard.__call__",
        "refusal = _refusal(scope, self._reach)",
        "refusal = None",
        "test_w3_another_host_is_refused_everywhere[/healthz-evil.com]",
    ),
    Guard(
        "guard:_refusal",
        'not reach.knows(host.hostname or "", own_address)',
        "False",
        "test_w3_another_host_is_refused_everywhere[/-evil.com]",
    ),
    Guard(
        "guard:_refusal",
        "not _is_own_request(headers, host.netloc.lower())",
        "False",
        "test_w4_another_site_cannot_write",
    ),
    Guard(
        "guard:_refusal",
        "is_long or not (GRADIO_PATHS.fullmatch(path) or STUDIO_PATHS.fullmatch(path))",
        "False",
        "test_w15_what_is_switched_off_is_not_there",
    ),
    Guard("guard:_refusal", "is_long or ", "", "test_w19_a_name_longer_than_any_file_has_is_not_asked_for"),
    Guard("guard:_host_of", "len(hosts) != 1", "not hosts", "test_w20_two_hosts_are_refused"),
    Guard(
        "guard:_host_of",
        'parts.netloc == hosts[0] and "@" not in hosts[0] and ',
        "",
        "test_w3_another_host_is_refused_everywhere",
    ),
    Guard(
        "guard:_is_own_request",
        'headers.get("sec-fetch-site", "") not in OWN_FETCHES',
        "False",
        "test_w4_another_site_cannot_write",
    ),
    Guard(
        "guard:_is_own_request",
        "origin is None or origin.lower() in",
        "True or origin.lower() in",
        "test_w4_another_site_cannot_write",
    ),
    Guard(
        "DROPPED",
        'frozenset({b"x-forwarded-host", b"x-gradio-server"})',
        "frozenset()",
        "test_w20_a_proxys_word_that_nobody_asked_for_is_dropped",
    ),
    Guard(
        "_with_headers",
        'not name.lower().startswith(b"access-control-") and ',
        "",
        "test_w5_no_answer_invites_another_origin",
    ),
    Guard("_with_headers", "[*kept, *HEADERS.items()]", "kept", "test_w11_every_answer_carries_the_headers"),
    Guard(
        "is_loopback",
        "found is not None and found.is_loopback",
        "True",
        "test_w3_loopback_is_told_from_its_look_alikes",
    ),
    Guard(
        "Reach.knows",
        "if is_loopback(self.host):\n            return False",
        "if False:\n            return False",
        "test_w3_a_public_server_goes_by_its_own_names_only",
    ),
    Guard(
        "_refuse_open",
        "if not reach.is_public or AccountFile(workspace).all():",
        "if True:",
        "test_w2_a_public_address_is_refused_with_what_to_do_instead",
    ),
    # who has logged in
    Guard(
        "LoginGate.__call__",
        "if account or own_path(scope) in OPEN_PATHS or self._may_enter(None):",
        "if True:",
        "test_w6_nothing_but_the_login_is_open",
    ),
    Guard(
        "LoginGate._while_allowed",
        "is_over = not self._may_enter(self._log_ins.sessions.account_of(token))",
        "is_over = False",
        "test_w6_a_stream_ends_when_its_session_does",
    ),
    Guard(
        "may_enter",
        "(is_public or accounts.has_any())",
        "accounts.has_any()",
        "test_w2_w6_without_accounts_only_a_server_for_this_machine_is_open",
    ),
    Guard(
        "LogIns._token_for",
        "if attempt.replaces:",
        "if False:",
        "test_w20_a_new_login_ends_the_session_that_it_replaces",
    ),
    Guard(
        "LogIns.answer", "if wait_s:", "if False:", "test_w12_wrong_names_and_passwords_read_alike_and_are_slowed_down"
    ),
    Guard("LogIns.log_out", "self.sessions.end(token)", "pass", "test_w12_logging_out_ends_it_everywhere"),
    Guard(
        "address_of",
        "if reach.trusts_proxy else []",
        "if True else []",
        "test_w12_a_visitors_address_is_what_the_connection_says_unless_the_proxy_is_trusted",
    ),
    # how much may be sent, and how it is read
    Guard("body_limit:MOST_EVENT_BYTES", "MIB", "64 * MIB", "test_u16_anything_else_is_short"),
    Guard("_Counted.receive", "if self.taken > self.most:", "if False:", "test_u16_anything_else_is_short"),
    Guard("visitor_files:_keep", "parser.forget()", "pass", "test_u16_an_upload_that_breaks_off_leaves_nothing"),
    Guard(
        "_FilesOnly.on_headers_finished",
        "if self._current_part.file is None:",
        "if False:",
        "test_u16_a_field_that_is_no_file_is_not_kept_in_memory",
    ),
    Guard(
        "_refuse_large",
        "depth > MOST_DEPTH or ",
        "",
        "test_w17_what_is_no_json_or_too_much_of_it_is_refused_before_anything_is_built",
    ),
    Guard(
        "_refuse_large",
        " or tokens > MOST_TOKENS",
        "",
        "test_w17_what_is_no_json_or_too_much_of_it_is_refused_before_anything_is_built",
    ),
    Guard(
        "bounded_json:_TOKEN",
        '(?:[^"\\\\]++|\\\\.)*+"?',
        '(?:[^"\\\\]|\\\\.)*"',
        "test_w17_reading_takes_as_long_as_the_text_is_long",
    ),
    Guard(
        "read_json",
        "write_json(value)",
        "pass",
        "test_w17_what_is_no_json_or_too_much_of_it_is_refused_before_anything_is_built",
    ),
    # what an event carries
    Guard(
        "fitting",
        "elif not any(isinstance(component, kinds) and holds(component, value) for kinds, holds in _HELD):",
        "elif False:",
        "test_w16_a_value_of_another_kind_is_refused",
    ),
    Guard(
        "_holds_own", "isinstance(value, type(component.value))", "True", "test_w16_a_value_of_another_kind_is_refused"
    ),
    Guard("_holds_own", " and not names_file(value)", "", "test_w16_nothing_but_a_file_component_takes_a_file"),
    Guard("_holds_state", "value is None", "True", "test_w16_a_value_of_another_kind_is_refused"),
    Guard(
        "_tried",
        "except Exception as error:",
        "except ZeroDivisionError as error:",
        "test_w19_a_value_out_of_bounds_is_refused_by_the_name_of_its_field",
    ),
    Guard(
        "component_values:_file",
        'path = find(value["path"])',
        'path = find(value["path"]) or value["path"]',
        "test_w16_a_file_goes_by_the_name_that_its_visitor_was_told_and_is_nothing_but_its_path",
    ),
    Guard(
        "component_values:_file",
        'return {"path": path, **{',
        'return {**value, "path": path, **{',
        "test_w16_a_file_goes_by_the_name_that_its_visitor_was_told_and_is_nothing_but_its_path",
    ),
    Guard(
        "EventDoor._understood",
        " or names_file(about)",
        "",
        "test_w16_what_an_event_says_beside_its_values_names_no_file",
    ),
    Guard(
        "EventDoor._claim",
        "if owner != call.visitor.id:",
        "if False:",
        "test_w18_the_page_that_somebody_has_open_answers_nobody_else",
    ),
    Guard(
        "_function",
        'event is None or (call.act != "cancel" and (event.queue is False) != (call.act == "run/predict"))',
        "event is None",
        "test_w19_an_event_is_called_by_its_own_way_with_all_of_its_values",
    ),
    Guard(
        "event_door:_data",
        " or len(values) != len(inputs)",
        "",
        "test_w19_an_event_is_called_by_its_own_way_with_all_of_its_values",
    ),
    Guard(
        "event_door:_failure",
        'if isinstance(said, dict) and said.get("error"):',
        "if False:",
        "test_w19_what_a_handler_refuses_is_no_fault_of_the_servers",
    ),
    Guard(
        "_Answer._named",
        "self._files.named(self._call.visitor.id, body)",
        "body",
        "test_w19_an_example_that_is_put_into_the_question_tells_no_path",
    ),
    Guard("_mounted", "page.has_launched = True", "pass", "test_w16_gradio_itself_looks_at_what_it_is_told_to_copy"),
    Guard(
        "OpenPages.make_room",
        "self.forget()",
        "pass",
        "test_w17_pages_that_are_made_up_one_after_the_other_push_each_other_out",
    ),
    Guard(
        "EventDoor._understood",
        "unread.qsize() > MOST_UNREAD",
        "False",
        "test_w17_who_asks_without_listening_is_asked_to_stop",
    ),
    Guard(
        "OpenPages.forget", "self._told.clear()", "pass", "test_d5_what_gradio_notes_of_events_for_nobody_is_forgotten"
    ),
    # whose a file is
    Guard(
        "Visitors.__call__",
        'f"account {account}" if account else f"browser {token}"',
        '"everybody"',
        "test_w18_what_a_browser_sent_is_served_to_and_used_by_that_browser_alone",
    ),
    Guard(
        "VisitorFiles.folder",
        'f"of-{visitor}"',
        '"of-all"',
        "test_w18_what_an_account_sent_is_served_to_that_account_on_whatever_browser",
    ),
    Guard(
        "VisitorFiles.find",
        " and not path.is_symlink() and not path.parent.is_symlink()",
        "",
        "test_w8_no_name_leads_out_of_a_visitors_folder",
    ),
    Guard(
        "visitor_files:router",
        '"inline" if kind else "attachment"',
        '"inline"',
        "test_w11_an_uploaded_page_is_downloaded_and_not_shown",
    ),
    Guard(
        "remove_old_uploads",
        "_changed_at(path) < limit",
        "False",
        "test_d6_what_nobody_imported_goes_after_a_day_and_the_rest_stays",
    ),
    # what is told, and to whom
    Guard(
        "Redacted.clean",
        'text.replace(self._home, "~") if len(self._home) > 1 else text',
        "text",
        "test_w13_the_log_is_cleaned_line_by_line",
    ),
    Guard("wiring:_toast", "html.escape(text)", "text", "test_w10_a_refusal_shows_names_as_text"),
)
GUARDS = (*WEB,)
