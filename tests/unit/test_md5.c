/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <string.h>

#include "util/bits.h"
#include "util/md5.h"

/* Of RFC 1321, and of lengths at which the padding needs another block */
static const struct {
	const char *text, *digest, *base64;
} examples[] = {
	{ "", "d41d8cd98f00b204e9800998ecf8427e", "1B2M2Y8AsgTpgAmY7PhCfg==" },
	{ "abc", "900150983cd24fb0d6963f7d28e17f72", "kAFQmDzST7DWlj99KOF/cg==" },
	{ "message digest", "f96b697d7cb7938d525a2f31aaf161d0", "+WtpfXy3k41SWi8xqvFh0A==" },
	{ "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
	  "57edf4a22be3c955ac49da2e2107b67a", "V+30oivjyVWsSdouIQe2eg==" },
	{ "1234567890123456789012345678901234567890123456789012345",
	  "c9ccf168914a1bcfc3229f1948e67da0", "yczxaJFKG8/DIp8ZSOZ9oA==" },
	{ "12345678901234567890123456789012345678901234567890123456",
	  "49f193adce178490e34d1b3a4ec0064c", "SfGTrc4XhJDjTRs6TsAGTA==" },
	{ "1234567890123456789012345678901234567890123456789012345678901234",
	  "eb6c4179c0a7c82cc2828c1e6338e165", "62xBecCnyCzCgoweYzjhZQ==" },
};

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		unsigned char digest[MD5_SIZE];

		md5(examples[i].text, strlen(examples[i].text), digest);
		CHECK_STR(md5_to_hex(digest).text, examples[i].digest);
		CHECK_STR(md5_to_base64(digest).text, examples[i].base64);
	}
	return check_done();
}
