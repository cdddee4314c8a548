"""Where Debian's Cyrus (3.6.1) does something else than the RFCs say, or no more than it must; and what it does.

Each test named here must fail with Cyrus. A name without brackets is a test with all its parameters.
"""

DIFFERENCES: dict[str, tuple[str, ...]] = {
    "its MDN/send is that of a draft, without identities and onSuccessUpdateEmail": (
        "test_mdn_2_1_a_receipt_marks_the_email_and_says_what_the_server_has_set", "test_mdn_2_1_no_second_receipt",
        "test_mdn_2_1_nor_one_for_what_another_has_marked", "test_mdn_2_1_the_keyword_may_come_with_all_others",
        "test_mdn_2_1_who_is_not_there", "test_mdn_2_1_the_capability_of_mail_is_needed",
        "test_mdn_2_1_emails_that_are_not_there_or_do_not_ask", "test_mdn_2_1_a_recipient_that_is_somebody_else",
        "test_mdn_2_1_invalid_properties", "test_mdn_2_1_some_are_sent_and_some_are_not",
        "test_mdn_8098_2_1_no_receipt_for_a_receipt",
    ),
    "its MDN/parse reads nothing": (
        "test_mdn_2_2_what_others_tell", "test_mdn_2_2_words_are_in_lower_case",
        "test_mdn_2_2_errors_gateways_and_further_fields", "test_mdn_2_2_the_message_comes_along",
        "test_mdn_2_2_an_email_that_is_a_receipt",
    ),
    "it says which account is not found": ("test_mdn_2_2_arguments",),
    "it offers an event source and answers 204 for it": (
        "test_7_3_changes_are_told_with_the_new_states", "test_7_3_only_the_types_asked_for",
        "test_7_3_closed_after_the_first_state", "test_7_3_open_for_more_than_one",
        "test_7_3_who_comes_back_hears_of_what_has_been", "test_7_3_changes_of_others_are_not_told",
        "test_7_3_arguments_out_of_order", "test_mail_1_5_what_a_user_does_is_no_delivery",
    ),
    "the URLs of its session are relative, and these clients take them as they are": ("test_jmap_jam", "test_jmapc"),
    "it calls the error `resultReference`, as a draft did": (
        "test_3_7_what_does_not_resolve", "test_3_7_the_result_of_an_error_is_none",
        "test_3_7_paths[cyrus-/list/*/deep/*/ids-invalidResultReference]", "test_3_7_paths[cyrus-/missing-invalidResultReference]",
        "test_3_7_paths[cyrus-/list/2-invalidResultReference]", "test_3_7_paths[cyrus-/list/01-invalidResultReference]",
        "test_3_7_paths[cyrus-/list/--invalidResultReference]", "test_3_7_paths[cyrus-/list/x-invalidResultReference]",
        "test_3_7_paths[cyrus-/list/*/nothing-invalidResultReference]", "test_3_7_paths[cyrus-/text/0-invalidResultReference]",
        "test_3_7_paths[cyrus-list-invalidResultReference]",
    ),
    "it takes an empty token of a path for none": ("test_3_7_paths[cyrus-/-nameless]",),
    "it calls it `notRequest`": ("test_3_6_1_another_media_type_is_not_json",),
    "it takes the last of two members with one name": ("test_1_5_json_that_is_no_i_json[cyrus-same-name-twice]",),
    "it calls JSON that is no object `notJSON`": (
        'test_3_6_1_not_a_request[cyrus-"text"]', "test_3_6_1_not_a_request[cyrus-null]",
    ),
    "it ignores createdIds that are none": (
        'test_3_6_1_not_a_request[cyrus-{"using": ["core", "mail"], "methodCalls": [], "createdIds": []}]',
        'test_3_6_1_not_a_request[cyrus-{"using": ["core", "mail"], "methodCalls": [], "createdIds": {"a": 1}}]',
    ),
    "it does not miss an argument": (
        "test_3_9_invalid_arguments[cyrus-Email/changes-{}]", "test_3_9_invalid_arguments[cyrus-Email/parse-{}]",
        "test_3_9_account_id_is_needed",
    ),
    "it refuses a NUL in JSON": ("test_4_echo[cyrus-text]", "test_2_5_names_out_of_order[cyrus-nul]"),
    "its session has primary accounts for what the accounts cannot do":
        ("test_2_primary_accounts_have_the_capability",),
    "its capabilities are those of a draft": (
        "test_mail_1_3_1_limits_of_mailboxes", "test_mail_1_3_1_sorts_that_are_announced_work",
        "test_2_5_the_longest_name_that_is_announced",
    ),
    "it answers once for each time that an id is named": ("test_5_1_the_same_id_twice_is_answered_once",),
    "it refuses the whole request": ("test_5_1_too_many", "test_5_3_too_many"),
    "it leaves out what came and went between two pages": (
        "test_5_2_emails_created_updated_destroyed[cyrus-1]", "test_5_2_emails_created_updated_destroyed[cyrus-2]",
    ),
    "its states are numbers, and any number is one": (
        "test_5_2_a_state_that_was_never_given[cyrus-99999999999999999999999-Mailbox]",
        "test_5_2_a_state_that_was_never_given[cyrus-99999999999999999999999-Email]",
        "test_5_2_a_state_that_was_never_given[cyrus-99999999999999999999999-Thread]",
        "test_5_6_a_state_that_was_never_given[cyrus-Mailbox--5]",
        "test_5_6_a_state_that_was_never_given[cyrus-Mailbox-99999999999999999]",
    ),
    "it does not tell of all that it has set": ("test_5_3_what_the_server_has_set_is_told",),
    "it takes a patch with server-set properties for granted and changes nothing": ("test_5_3_a_whole_object_is_a_patch",),
    "it has no default for sortOrder but 10, and not by null":
        ("test_5_3_null_is_the_default", "test_2_what_is_new_is_subscribed_and_has_no_role"),
    "it applies what it can of a wrong patch": (
        "test_5_3_invalid_patches[cyrus-a-prefix-of-another]", "test_5_3_invalid_patches[cyrus-below-a-value]",
        "test_5_3_a_prefix_of_another_is_an_invalid_patch", "test_5_3_a_record_is_changed_whole_or_not",
        "test_5_3_immutable_properties",
    ),
    "it does not unescape pointers in patches": ("test_5_3_pointers_are_escaped",),
    "what is destroyed can be destroyed again as long as it is not expunged": ("test_5_3_destroyed_twice",),
    "it does not look at the account to copy from when there is nothing to copy":
        ("test_5_4_from_nowhere", "test_6_3_blobs_from_nowhere"),
    "its position is never behind the last result": ("test_5_5_anchors[cyrus-5-100-5-105-105]",),
    "it always tells the total": ("test_5_5_totals_only_where_asked_for", "test_5_6_nothing_has_changed"),
    "it takes a negative size": ("test_5_5_filters_out_of_order[cyrus-{'minSize': -1}]",),
    "a multipart that holds no part is a part without a blob": ("test_4_1_4_every_part_of_real_mail",),
    "it does not look at names of properties where there is no email": (
        "test_4_2_invalid_properties_of_parts[cyrus-unheardOf]", "test_4_2_invalid_properties_of_parts[cyrus-subject]",
        "test_4_1_3_properties_out_of_order[cyrus-header:a b]", "test_4_1_3_properties_out_of_order[cyrus-header:a:]",
        r"test_4_1_3_properties_out_of_order[cyrus-header:\ud55c\uae00]", "test_4_9_forms_that_a_field_has_not",
    ),
    "its EUC-KR is not CP949": (
        r"test_4_1_4_values_are_unicode[cyrus-euc-kr-cp949-\ub620\ubc29\uac01\ud558]",
        "test_4_1_2_2_subjects_of_real_mail", "test_4_1_4_words_of_real_mail",
    ),
    "it has no problem with a charset that it does not know": ("test_4_1_4_encoding_problems_are_told[cyrus-unknown charset]",),
    "it refuses zero": ("test_4_2_zero_is_no_limit",),
    "it cuts within tags": ("test_4_2_html_is_not_cut_within_a_tag",),
    "an inline image is an attachment": ("test_4_1_4_has_attachment[cyrus-an inline image]",),
    "it has no previews without an annotator, and none without markup":
        ("test_4_1_4_previews_of_real_mail", "test_4_1_4_previews_show_no_markup"),
    "it adds a keyword $hasattachment": ("test_4_1_1_metadata",),
    "a field with octets that are no UTF-8 is not there":
        ("test_4_1_2_1_octets_that_are_no_utf_8", "test_4_1_3_headers_in_their_order"),
    "NUL ends a text": ("test_4_1_2_2_text[cyrus- =?utf-8?Q?nul=00bell=07?=-nulbell]",),
    "an unknown charset becomes U+FFFD": ("test_4_1_2_2_words_where_none_may_be[cyrus- =?unknown-charset?Q?left?=-left]",),
    "white space within quotes stays": ("test_4_1_2_3_the_example", "test_4_1_2_4_the_example"),
    "quotes of a local part go": ('test_4_1_2_3_addresses[cyrus-"x y"@example.com-addresses14]',),
    "what cannot be parsed is null": ("test_4_1_2_3_drafts_are_not_finished",),
    "it does not decode the names of groups": ("test_4_1_2_4_groups[cyrus-=?utf-8?B?7ZWc6riA?=: a@x.example;-groups4]",),
    "any word is a message id": (
        "test_4_1_2_5_message_ids[cyrus-(comment) <a@example.com> (another)-ids4]",
        "test_4_1_2_what_cannot_be_parsed_is_null[cyrus-header:X-Ids:asMessageIds-X-Ids: no ids at all]",
    ),
    "it takes these fields for none of RFC 5322": tuple(
        f"test_4_1_2_forms_of_fields[cyrus-{form}-{field}]"
        for form in ("asAddresses", "asGroupedAddresses", "asMessageIds", "asDate", "asURLs")
        for field in ("Comments", "Keywords", "List-Id")
    ),
    "it has no message ids that are no ASCII": ("test_4_1_3_of_mail_with_unencoded_addresses",),
    "its import has no states": ("test_4_8_what_an_import_is_answered_with", "test_4_8_if_in_state"),
    "what is imported arrives now": ("test_4_8_received_at_is_that_of_the_latest_received_field",),
    "it ignores what it does not know": ("test_4_8_invalid_properties[cyrus-{'unheardOf': 1}]",),
    "its server fails": (
        "test_4_8_what_is_no_message[cyrus-b'']", r"test_4_8_what_is_no_message[cyrus-b'\\x00\\x00\\x00']",
        "test_4_1_1_values_of_sets_are_true", "test_4_4_2_a_keyword_is_needed", "test_2_5_there_is_no_loop",
        "test_2_5_names_out_of_order[cyrus-long]", "test_2_5_names[cyrus-50% off]", 'test_2_5_names[cyrus-"]',
    ),
    "it says when a blob has arrived": ("test_4_9_metadata_is_null",),
    "an upload changes the state": ("test_4_9_nothing_is_stored_by_it",),
    "what is new is not subscribed to": ("test_2_a_new_mailbox_is_subscribed", "test_2_3_filters", "test_2_3_filter_as_tree"),
    "what it adds has the index of a list that holds what was removed": ("test_2_4_query_changes",),
    "it knows only half of the numbers": ("test_2_5_sort_order_and_subscription",),
    "a role may be given twice": ("test_2_5_a_role_is_given_once",),
    "it forgets changes with the mailbox": ("test_2_5_on_destroy_remove_emails",),
    "the inbox can be renamed although it says that it cannot": ("test_2_5_rights_are_true",),
    "before includes the moment": ("test_4_4_1_metadata[cyrus-{'before': '2026-04-03T12:00:00Z'}-ab]",),
    "it has no allInThreadHaveKeyword unless it counts that keyword": (
        "test_4_4_1_metadata[cyrus-{'allInThreadHaveKeyword': '$flagged'}-d]",
        "test_4_4_2_sorts[cyrus-[{'property': 'allInThreadHaveKeyword', 'keyword': '$flagged', 'isAscending': False}, "
        "{'property': 'receivedAt'}]-dabcef]",
    ),
    "maxSize includes the size": ("test_4_4_1_sizes_are_compared_exactly",),
    "single quotes make no phrase": ("test_4_4_1_texts[cyrus-{'text': \"'fruit red'\"}-]",),
    "it does not look into alt": ("test_4_4_1_texts_for_the_reader_of_an_image",),
    "it does not find all in Korean and Japanese":
        ("test_4_4_1_words_of_real_mail", "test_4_4_1_subjects_of_real_mail", "test_5_1_in_korean_mail"),
    "it has no collation": ("test_4_4_2_the_example",),
    "a raw value may hold further fields": ("test_4_6_a_value_cannot_become_another_field",),
    "it takes no inline attachment without HTML": ("test_4_6_attachments",),
}  # fmt: skip


def reason(test: str) -> str | None:
    """What Cyrus does instead of what this test asks for, if it is named above."""
    names = {test, test.partition("[")[0]}
    return next((reason for reason, tests in DIFFERENCES.items() if names & set(tests)), None)
