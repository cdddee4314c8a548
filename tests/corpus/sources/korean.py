"""Korean mail as it is really sent: five charsets, their misuse, attachments named in every way."""

import unicodedata

from .letter import CRLF, Mail, base64_lines, head, multipart, noise, part, quoted_printable, text, word, words

NOTICE = """\
안녕하세요. 전산운영팀입니다.

더 안정적인 서비스를 제공하기 위하여 아래와 같이 메일 서버 정기 점검을 실시합니다.
점검 시간 동안에는 메일 수신이 잠시 지연될 수 있으며, 점검이 끝난 뒤 차례로 배달됩니다.

  - 점검 일시: 2026년 9월 14일(월) 02:00 ~ 05:00
  - 점검 내용: 저장 장치 증설, 보안 업데이트, 색인 재구성
  - 영향 범위: 웹메일, 모바일 메일, 전자결재 알림

점검 도중 보내신 메일은 사라지지 않습니다. 불편을 드려 죄송하며, 궁금한 점은
고객지원센터(내선 1588)로 문의하여 주시기 바랍니다.

감사합니다.
전산운영팀 드림
"""

REPLY = """\
네, 회의록 잘 받았습니다. 첨부하신 견적서 중에서 3번 항목의 단가가 지난번과 다른데
혹시 부가세가 포함된 금액인지 확인 부탁드립니다.

그리고 다음 주 화요일 오후 두 시 회의는 7층 대회의실로 변경되었습니다.
참석이 어려우시면 미리 알려 주세요.

> 안녕하세요. 지난주 회의록과 견적서를 보내 드립니다.
> 검토하신 뒤 의견 주시면 금요일까지 반영하겠습니다.
>
>> 회의록은 언제쯤 받아 볼 수 있을까요?
"""

# Syllables that KS X 1001 lacks and only CP949 (Unified Hangul Code) has: 똠, 햏, 뷁, 펲, 쌰.
RARE = """\
편집부에서 알려 드립니다. 이번 호 표제어는 '똠방각하'이며, 독자 투고란의 '아햏햏'과
'뷁' 같은 통신어는 그대로 싣기로 하였습니다. '펲시콜라'와 '쌰르르'는 외래어 표기법에 맞게
고쳐 주시기 바랍니다. 교정쇄는 수요일 아침에 돌려 드리겠습니다.
"""


def newsletter_cp949() -> Mail:
    """Windows mail programs label CP949 as ks_c_5601-1987; plain text and HTML, 8bit, with a table."""
    subject = "[공지] 메일 서버 정기 점검 안내 (9월 14일 02:00~05:00)"
    rows = "".join(f"<tr><td>{n}</td><td>제 {n}차 점검</td><td>{n * 15}분</td></tr>\r\n" for n in range(1, 40))
    html = (
        '<html><head><meta http-equiv="Content-Type" content="text/html; charset=ks_c_5601-1987"></head>\r\n'
        '<body style="font-family:맑은 고딕,굴림">\r\n'
        + "".join(f"<p>{line}</p>\r\n" for line in NOTICE.splitlines() if line)
        + f'<table border="1">\r\n{rows}</table>\r\n</body></html>\r\n'
    )
    charset = 'charset="ks_c_5601-1987"'
    body = multipart(
        "----=_NextPart_000_0041_01DC2419.5B6A2C10",
        part(f"text/plain; {charset}", text(NOTICE, "cp949"), ("Content-Transfer-Encoding", "8bit")),
        part(f"text/html; {charset}", html.encode("cp949"), ("Content-Transfer-Encoding", "8bit")),
        preamble=b"This is a multi-part message in MIME format." + CRLF + CRLF,
    )
    source = head(
        ("From", f'"{word("전산운영팀", "ks_c_5601-1987", "cp949")}" <it-operations@example.test>'),
        ("To", f"{word('전 직원', 'ks_c_5601-1987', 'cp949')} <all-staff@example.test>"),
        ("Subject", words(subject, "ks_c_5601-1987", "cp949")),
        ("Date", "Mon, 7 Sep 2026 09:12:44 +0900"),
        ("Message-ID", "<000001dc2419$5b6a2c10$1240843$@example.test>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/alternative;\r\n\tboundary="----=_NextPart_000_0041_01DC2419.5B6A2C10"'),
        ("X-Mailer", "Microsoft Outlook 16.0"),
        ("Thread-Index", "AQHcJBlbaiwQEkCEMA=="),
        ("Content-Language", "ko"),
    )
    return Mail(source + CRLF + body, subject, ["정기 점검", "저장 장치", "고객지원센터"])


def thread_iso_2022_kr() -> Mail:
    """7-bit ISO-2022-KR (RFC 1557): a designator on the first line, SO and SI around every run of Hangul."""
    subject = "Re: 회의록과 견적서 검토 요청"
    source = head(
        ("Received", "from mail.example.com (mail.example.com [192.0.2.25])\r\n\tby mx.example.test; "
                     "Tue, 8 Sep 2026 14:20:31 +0900 (KST)"),
        ("From", f"Carol <carol@example.com> ({word('구매팀', 'EUC-KR', 'euc_kr')})"),
        ("To", "bob@example.test"),
        ("Subject", words(subject, "EUC-KR", "euc_kr")),
        ("Date", "Tue, 8 Sep 2026 14:20:29 +0900 (KST)"),
        ("In-Reply-To", "<20260907101500.GA4412@example.test>"),
        ("References", "<20260904083000.GA1901@example.com> <20260907101500.GA4412@example.test>"),
        ("Message-ID", "<20260908052029.GB7733@example.com>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=iso-2022-kr"),
        ("Content-Transfer-Encoding", "7bit"),
        ("User-Agent", "Mutt/1.5.24 (2015-08-30)"),
    )  # fmt: skip
    return Mail(source + CRLF + text(REPLY, "iso2022_kr"), subject, ["회의록", "부가세", "대회의실"])


def attachments_euc_kr() -> Mail:
    """EUC-KR in base64 and quoted-printable; one file named by RFC 2231, one by an encoded word, one in raw bytes."""
    subject = "10월 급여명세서 및 연차 사용 계획서 제출 안내"
    letter = text(NOTICE.replace("정기 점검", "정기 조사"), "euc_kr")
    name_2231 = "".join(f"%{byte:02X}" for byte in "급여명세서.pdf".encode("euc_kr"))
    body = multipart(
        "=_hanmail_20261005_mixed",
        part('text/plain; charset="euc-kr"', quoted_printable(letter), ("Content-Transfer-Encoding", "quoted-printable")),
        part("application/pdf", base64_lines(b"%PDF-1.4\n" + noise(3, 24_000)),
             ("Content-Transfer-Encoding", "base64"),
             ("Content-Disposition", f"attachment;\r\n filename*=euc-kr'ko'{name_2231}; size=24009")),
        part(f'application/haansofthwp;\r\n name="{word("연차 사용 계획서.hwp", "euc-kr", "euc_kr")}"',
             base64_lines(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + noise(4, 9_000)),
             ("Content-Transfer-Encoding", "base64"),
             ("Content-Disposition", f'attachment; filename="{word("연차 사용 계획서.hwp", "euc-kr", "euc_kr")}"')),
        part("text/plain; charset=euc-kr", base64_lines(text(REPLY, "euc_kr")),
             ("Content-Transfer-Encoding", "base64"),
             ("Content-Disposition", b'attachment; filename="' + "참고 사항.txt".encode("euc_kr") + b'"')),
    )  # fmt: skip
    source = head(
        ("From", f"{word('인사총무팀', 'euc-kr', 'euc_kr')} <hr@example.test>"),
        ("To", "alice@example.test, bob@example.test"),
        ("Cc", f"{word('재무팀', 'euc-kr', 'euc_kr')} <finance@example.test>"),
        ("Subject", words(subject, "euc-kr", "euc_kr")),
        ("Date", "Mon, 5 Oct 2026 08:01:02 +0900"),
        ("Message-ID", "<20261005080102.HM.000000000bZ5qrs@example.test>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="=_hanmail_20261005_mixed"'),
    )
    return Mail(source + CRLF + body, subject, ["급여명세서", "정기 조사", "고객지원센터"])


def cp949_labelled_euc_kr() -> Mail:
    """The commonest lie in Korean mail: the label says EUC-KR, the bytes are CP949."""
    subject = "교정쇄 회신: 똠방각하 외 4건"
    source = head(
        ("From", f"{word('편집부', 'euc-kr', 'cp949')} <editors@example.test>"),
        ("To", "carol@example.test"),
        ("Subject", word(subject, "euc-kr", "cp949")),
        ("Date", "Wed, 16 Sep 2026 17:45:00 +0900"),
        ("Message-ID", "<editors-20260916-1745@example.test>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=EUC-KR"),
        ("Content-Transfer-Encoding", "base64"),
    )
    return Mail(source + CRLF + base64_lines(text(RARE, "cp949")), subject, ["똠방각하", "아햏햏", "교정쇄"])


def utf8_nfd() -> Mail:
    """Files named on a Mac, and text copied from them, arrive decomposed: three code points for one syllable."""
    subject = "여름 휴가 사진과 숙소 예약 확인서"
    letter = NOTICE.replace("메일 서버 정기 점검", "여름 휴가 일정 조정")
    decomposed = unicodedata.normalize("NFD", letter)
    name = unicodedata.normalize("NFD", "숙소 예약 확인서.pdf")
    name_2231 = "".join(f"%{byte:02X}" for byte in name.encode())
    folded = "".join(
        f";\r\n\tfilename*{at // 60}*={'utf-8' + chr(39) * 2 if at == 0 else ''}{name_2231[at : at + 60]}"
        for at in range(0, len(name_2231), 60)
    )
    body = multipart(
        "Apple-Mail=_6F5C2B1E-0B7C-4E8B-9B41-2D5C3A7F1E90",
        part("text/plain;\r\n\tcharset=utf-8", base64_lines(text(decomposed, "utf-8")),
             ("Content-Transfer-Encoding", "base64")),
        part("application/pdf;\r\n\tx-unix-mode=0644", base64_lines(b"%PDF-1.7\n" + noise(5, 40_000)),
             ("Content-Disposition", "attachment" + folded), ("Content-Transfer-Encoding", "base64")),
    )  # fmt: skip
    source = head(
        ("From", "Alice <alice@example.com>"),
        ("Content-Type", 'multipart/mixed;\r\n\tboundary="Apple-Mail=_6F5C2B1E-0B7C-4E8B-9B41-2D5C3A7F1E90"'),
        ("Mime-Version", "1.0 (Mac OS X Mail 16.0 \\(3774.600.62\\))"),
        ("Subject", words(unicodedata.normalize("NFD", subject), "utf-8", piece=14)),
        ("Message-Id", "<6F5C2B1E-0B7C-4E8B-9B41-2D5C3A7F1E90@example.com>"),
        ("Date", "Sat, 1 Aug 2026 21:07:55 +0900"),
        ("To", "bob@example.test"),
        ("X-Mailer", "Apple Mail (2.3774.600.62)"),
    )
    return Mail(source + CRLF + body, subject, ["여름 휴가", "일정", "불편을"])


def raw_bytes_in_headers() -> Mail:
    """Old forms on web sites: EUC-KR bytes straight in the header, no MIME at all."""
    subject = "문의하신 내용에 답변드립니다"
    source = head(
        ("From", "고객센터".encode("euc_kr") + b" <webmaster@example.test>"),
        ("To", "alice@example.test"),
        ("Subject", subject.encode("euc_kr")),
        ("Date", "Fri, 13 Nov 2026 11:00:00 +0900"),
        ("Message-ID", "<form-mail.20261113.110000@example.test>"),
        ("Content-Type", "text/html; charset=euc-kr"),
    )
    html = "<html><body>" + NOTICE.replace("\n", "<br>\n") + "</body></html>\n"
    return Mail(source + CRLF + text(html, "euc_kr"), None, ["저장 장치"])


MAILS = {
    "cp949-newsletter": newsletter_cp949,
    "iso-2022-kr-thread": thread_iso_2022_kr,
    "euc-kr-attachments": attachments_euc_kr,
    "cp949-labelled-euc-kr": cp949_labelled_euc_kr,
    "utf-8-nfd": utf8_nfd,
    "euc-kr-raw-headers": raw_bytes_in_headers,
}
