# Hải Đăng. `make` alone lists what there is.
# Set-up is inside the targets: Python 3.11 with python3-venv, git, make and a package registry are enough.

SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests
# On each further PostgreSQL of the machine (Debian's 15), the tests that depend on the server.
SECOND := $(wildcard tests/infra tests/context tests/events tests/jobs tests/places tests/sources)

.DEFAULT_GOAL := help
.PHONY: help run test check fmt bench soak docs clean lock messages bom audit

help: ## Liệt kê các lệnh · list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Chạy nền tảng với dữ liệu trình diễn tại http://127.0.0.1:8000 · run the platform with the demo
	@$(PYTHON) tools/prepare.py run
	@HAIDANG_HOME="$${HAIDANG_HOME:-$(CURDIR)/.haidang}" exec $(BIN)/haidang up --demo

test: ## Chạy mọi phép thử · run every test (TESTS=tests/kernel for a part)
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/pytest -v -n 2 --dist loadfile $(TESTS)
ifeq ($(TESTS),tests)
	@set -e; for programs in /usr/lib/postgresql/*/bin; do \
	  test -x $$programs/postgres || continue; \
	  echo; echo "Lần nữa trên · again on $$($$programs/postgres --version)"; \
	  HAIDANG_TEST_POSTGRES=$$programs $(BIN)/pytest -v -n 2 --dist loadfile $(SECOND); \
	done
endif

check: ## Kiểm tra mã nguồn: kiểu, kiến trúc, di trú, bản dịch… · lint, types, architecture, migrations, translations
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/python tools/check.py

fmt: ## Định dạng mã nguồn · format the code
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

bench: ## Đo hiệu năng · measure performance (BENCH=bench/http.py for one)
	@$(PYTHON) tools/prepare.py dev
	@set -e; for bench in bench/machine.py $(or $(BENCH),$(filter-out bench/machine.py bench/measure.py bench/soak.py,$(sort $(wildcard bench/[a-z]*.py)))); do \
	  echo; echo "== $$bench"; $(BIN)/python $$bench; done

soak: ## Chạy tải dài giờ · run under load for hours (HOURS=1)
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/python bench/soak.py --hours $(or $(HOURS),1)

docs: ## Dựng tài liệu vào build/docs · build the documentation
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

messages: ## Gom các câu cần dịch vào locale/vi.po của từng phòng và gói · collect the strings to translate
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/python tools/messages.py --write

lock: ## Khoá lại phiên bản các gói · lock the packages anew (UPGRADE=--upgrade for newer ones)
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/python tools/lock.py $(UPGRADE)

bom: ## Ghi bảng kê thành phần phần mềm CycloneDX · write the CycloneDX bill of materials
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/python tools/supply.py bom

audit: ## Dò lỗ hổng đã biết trong các gói · look for known vulnerabilities in the packages
	@$(PYTHON) tools/prepare.py dev
	@$(BIN)/python tools/supply.py audit

clean: ## Xoá mọi thứ dựng ra, trừ dữ liệu · remove everything built; data in .haidang stays
	rm -rf .venv build dist frontend/node_modules src/haidang/web/static .mypy_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis
	find src tests tools bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
