/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * page_kind.h - kinds of pages
 */
#pragma once

/* What a page is used for */
enum page_kind {
	PAGE_UNKNOWN, PAGE_FREE, PAGE_CACHE, PAGE_ANON, PAGE_HUGETLB, PAGE_SLAB, PAGE_OFFLINE,
	PAGE_KERNEL,                    /* and what is not one of these         */
	PAGE_KINDS,
};
