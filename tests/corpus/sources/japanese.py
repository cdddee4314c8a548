"""Japanese mail: ISO-2022-JP by the standard and by Windows, Shift_JIS with its backslash bytes, EUC-JP, NFD."""

import unicodedata

from .letter import CRLF, Mail, base64_lines, head, multipart, noise, part, q_word, quoted_printable, text, word, words

MAGAZINE = """\
□━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━□
  週刊メールマガジン 第412号           2026年10月2日発行
□━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━□

いつもご愛読いただき、まことにありがとうございます。編集部です。
すっかり秋らしくなってまいりましたが、皆さまいかがお過ごしでしょうか。

■ 今週の目次
  1. 電子メールの文字コードを振り返る
  2. 読者からのお便り
  3. 次回の勉強会のお知らせ

■ 電子メールの文字コードを振り返る
日本語の電子メールでは、長いあいだ七ビットの符号化が使われてきました。
表示できない文字を送ると、受信側では「文字化け」してしまいます。
機種依存文字や半角カタカナは、いまでも思わぬ問題の原因になります。

配信の停止をご希望の方は、このメールにそのままご返信ください。
"""

ORDER = """\
このたびはご注文いただき、誠にありがとうございます。
以下の内容でご注文を承りました。

  ご注文番号：２０２６－１０－００７３
  商品名　　：能登の塩 十袋入り、表計算ソフト入門、ソーセージ詰め合わせ
  お届け先　：東京都千代田区
  お支払方法：代金引換

発送が完了しましたら、あらためてご連絡いたします。
ご不明な点は、予約受付窓口までお問い合わせください。
"""


def magazine_iso_2022_jp() -> Mail:
    """RFC 1468: escape sequences, back to ASCII before each line end; the subject over several encoded words."""
    subject = "【週刊メールマガジン】第412号 電子メールの文字コードを振り返る"
    source = head(
        ("Return-Path", "<magazine-bounce@example.com>"),
        ("From", f"{word('週刊メールマガジン編集部', 'ISO-2022-JP', 'iso2022_jp')} <magazine@example.com>"),
        ("To", "readers@example.com"),
        ("Subject", words(subject, "ISO-2022-JP", "iso2022_jp", piece=10)),
        ("Date", "Fri, 2 Oct 2026 12:00:00 +0900"),
        ("Message-Id", "<20261002120000.412.magazine@example.com>"),
        ("List-Id", "<magazine.example.com>"),
        ("List-Unsubscribe", "<mailto:magazine-request@example.com?subject=unsubscribe>"),
        ("Precedence", "bulk"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=ISO-2022-JP"),
        ("Content-Transfer-Encoding", "7bit"),
    )
    return Mail(source + CRLF + text(MAGAZINE, "iso2022_jp"), subject, ["文字化け", "勉強会", "文字コード"])


def order_shift_jis() -> Mail:
    """Shift_JIS, whose second bytes include the backslash (能 表 ソ 予), with NEC's circled digits and half-width kana."""
    subject = "ご注文ありがとうございます（ソーセージ詰め合わせ 他２点）"
    letter = ORDER + "\n① ﾐｶﾝ ② ﾘﾝｺﾞ ③ ﾌﾞﾄﾞｳ\n"
    body = multipart(
        "----=_Part_8123_1123.1759366800",
        part("text/plain; charset=Shift_JIS", text(letter, "cp932"), ("Content-Transfer-Encoding", "8bit")),
        part(f'application/vnd.ms-excel; name="{word("表計算.xls", "Shift_JIS", "cp932")}"',
             base64_lines(noise(6, 7_000)),
             ("Content-Transfer-Encoding", "base64"),
             ("Content-Disposition", f'attachment; filename="{word("表計算.xls", "Shift_JIS", "cp932")}"')),
    )  # fmt: skip
    source = head(
        ("From", f"{word('予約受付窓口', 'Shift_JIS', 'cp932')} <shop@example.com>"),
        ("To", "alice@example.test"),
        ("Subject", q_word(subject[:14], "Shift_JIS", "cp932") + "\r\n " + q_word(subject[14:], "Shift_JIS", "cp932")),
        ("Date", "Fri, 2 Oct 2026 10:00:00 +0900 (JST)"),
        ("Message-ID", "<8123.1123.1759366800.JavaMail.shop@example.com>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; \r\n\tboundary="----=_Part_8123_1123.1759366800"'),
    )
    return Mail(source + CRLF + body, subject, ["ソーセージ", "予約受付", "能登"])


def phone_iso_2022_jp_ms() -> Mail:
    """Labelled ISO-2022-JP, but with half-width kana and circled digits as Windows mail programs emit them."""
    subject = "明日の待ち合わせの件"
    letter = "明日は①改札口の前に十時集合でお願いします。\nﾖﾛｼｸ!\n\n" + ORDER
    source = head(
        ("From", "bob@example.com"),
        ("To", "alice@example.test"),
        ("Subject", word(subject, "iso-2022-jp", "iso2022_jp")),
        ("Date", "Sun, 4 Oct 2026 22:15:09 +0900"),
        ("Message-ID", "<BYAPR07MB4741.20261004@example.com>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'text/plain; charset="iso-2022-jp"'),
        ("Content-Transfer-Encoding", "7bit"),
    )
    # ISO-2022-JP as Windows writes it (code page 50221): row 13 and ESC ( I, beyond what RFC 1468 allows.
    body = letter.replace("－", "-").replace("①", "\0").replace("\n", "\r\n").encode("iso2022_jp_ext")
    body = body.replace(b"\0", b"\x1b$B\x2d\x21\x1b(B")
    return Mail(source + CRLF + body, subject, ["待ち合わせ", "改札口", "能登"])


def invitation_euc_jp() -> Mail:
    """EUC-JP, quoted-printable."""
    subject = "勉強会のご案内"
    source = head(
        ("From", f"{word('勉強会事務局', 'EUC-JP', 'euc_jp')} <study@example.com>"),
        ("To", "carol@example.test"),
        ("Subject", word(subject, "EUC-JP", "euc_jp")),
        ("Date", "Thu, 08 Oct 2026 19:30:00 +0900"),
        ("Message-ID", "<study.20261008@example.com>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=EUC-JP; format=flowed; delsp=yes"),
        ("Content-Transfer-Encoding", "quoted-printable"),
    )
    return Mail(source + CRLF + quoted_printable(text(MAGAZINE, "euc_jp")), subject, ["勉強会", "文字化け"])


def report_utf8_nfd() -> Mail:
    """UTF-8 in which voiced kana are two code points (か + ゛), 8bit, with an attachment named the same way."""
    subject = "議事録ドラフトのデータ"
    decomposed = unicodedata.normalize("NFD", MAGAZINE)
    name = "".join(f"%{byte:02X}" for byte in unicodedata.normalize("NFD", "議事録ドラフト.docx").encode())
    body = multipart(
        "00000000000049e4c10640aa12b3",
        part('text/plain; charset="UTF-8"', text(decomposed, "utf-8"), ("Content-Transfer-Encoding", "8bit")),
        part("application/octet-stream", base64_lines(b"PK\x03\x04" + noise(7, 18_000)),
             ("Content-Disposition", f"attachment; filename*=UTF-8''{name}"),
             ("Content-Transfer-Encoding", "base64"), ("X-Attachment-Id", "f_m3k1q0xy0")),
    )  # fmt: skip
    source = head(
        ("MIME-Version", "1.0"),
        ("Date", "Tue, 6 Oct 2026 15:40:21 +0900"),
        ("Message-ID", "<CAF0001.NFD=draft@mail.example.com>"),
        ("Subject", word(unicodedata.normalize("NFD", subject), "UTF-8")),
        ("From", "Bob <bob@example.com>"),
        ("To", "Alice <alice@example.test>"),
        ("Content-Type", 'multipart/mixed; boundary="00000000000049e4c10640aa12b3"'),
    )
    return Mail(source + CRLF + body, subject, ["メールマガジン", "ありがとう"])


MAILS = {
    "iso-2022-jp-magazine": magazine_iso_2022_jp,
    "shift-jis-order": order_shift_jis,
    "iso-2022-jp-windows": phone_iso_2022_jp_ms,
    "euc-jp-invitation": invitation_euc_jp,
    "utf-8-nfd-report": report_utf8_nfd,
}
