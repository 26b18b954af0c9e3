/* A program that knows nothing of the simulator: it opens /dev/uv and makes ioctls, right and wrong ones, and says
 * what each gave. uv.py does the same in Python. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct control_block {
	uint32_t flags;
	uint16_t rc, rrc;
	uint64_t address;
	uint32_t length;
	uint8_t reserved[44];
};

struct attest {
	uint64_t arcb, measurement, additional;
	uint8_t user_data[256], config_uid[16];
	uint32_t arcb_length, measurement_length, additional_length;
	uint16_t user_data_length, reserved;
};

#define UV(number) _IOWR('u', number, struct control_block)

static unsigned char buffer[0x8000];

static void call_block(const char *name, int file, unsigned long request, struct control_block *block)
{
	int result = ioctl(file, request, block);
	if (result != 0)
		printf("%s: %s\n", name, strerror(errno));
	else
		printf("%s: rc %04x\n", name, block->rc);
}

static void call(const char *name, int file, unsigned long request, void *address, uint32_t length)
{
	struct control_block block = { .address = (uintptr_t)address, .length = length };
	call_block(name, file, request, &block);
}

static void list_says(int file, const char *name, unsigned expected)
{
	struct control_block block = { .address = (uintptr_t)buffer, .length = 0x1000 };
	int result;
	memset(buffer, 0xff, sizeof buffer);
	result = ioctl(file, UV(3), &block);
	printf("%s: %d, rc %04x, %s\n", name, result, block.rc,
	       buffer[2] * 256u + buffer[3] == expected ? "as many as expected" : "another number of secrets");
}

int main(int count, char **arguments)
{
	int file, other;
	uint64_t *words = (uint64_t *)buffer;
	struct control_block flags = { .flags = 1, .address = (uintptr_t)buffer, .length = 16 };
	struct control_block reserved = { .address = (uintptr_t)buffer, .length = 16, .reserved = { [43] = 1 } };
	struct attest attest = { .arcb = 0x10, .arcb_length = 0x100, .measurement = (uintptr_t)buffer,
				 .measurement_length = 64 };

	if (count == 2) {
		/* Started again by itself, with an open file. */
		list_says(atoi(arguments[1]), "list after exec", 0);
		return 0;
	}
	if ((file = open("/dev/uv", O_RDWR)) < 0) {
		printf("open: %s\n", strerror(errno));
		return 1;
	}
	call("info", file, UV(0), buffer, 16);
	printf("commands: %llx, ultravisor's: %llx\n", (unsigned long long)words[0], (unsigned long long)words[1]);
	call("info, short", file, UV(0), buffer, 15);
	call("info, unreadable address", file, UV(0), (void *)0x10, 16);
	call_block("info, flags", file, UV(0), &flags);
	call_block("info, reserved", file, UV(0), &reserved);
	call_block("info, no control block", file, UV(0), (void *)0x10);
	call("nr too high", file, UV(6), buffer, 16);
	call("other type", file, _IOWR('v', 0, struct control_block), buffer, 16);
	call("other direction", file, _IOW('u', 0, struct control_block), buffer, 16);
	call("other size", file, _IOWR('u', 0, int), buffer, 16);
	call("add, no length", file, UV(2), buffer, 0);
	call("add, too long", file, UV(2), buffer, 0x100001);
	call("add, unreadable address", file, UV(2), (void *)0x10, 0x100);
	memset(buffer, 0, sizeof buffer);
	call("add, nonsense", file, UV(2), buffer, 0x100);
	call("attest, other length", file, UV(1), &attest, sizeof attest - 1);
	call("attest, unreadable request", file, UV(1), &attest, sizeof attest);
	attest.arcb = (uintptr_t)buffer;
	call("attest, nonsense", file, UV(1), &attest, sizeof attest);
	attest.reserved = 1;
	call("attest, reserved", file, UV(1), &attest, sizeof attest);
	list_says(file, "list", 0);
	call("list, four pages", file, UV(3), buffer, 0x4000);
	call("list, not whole pages", file, UV(3), buffer, 0x1001);
	call("list, unwritable address", file, UV(3), (void *)0x10, 0x1000);
	call("retrieve from nothing", file, UV(5), buffer, 32);
	call("retrieve, too short", file, UV(5), buffer, 1);
	call("retrieve, too long", file, UV(5), buffer, 0x2001);
	printf("write: %s\n", write(file, "x", 1) < 0 ? strerror(errno) : "accepted");

	/* The file is the device whatever its number and process. */
	other = dup2(file, 77);
	close(file);
	list_says(other, "list after dup2", 0);
	fflush(stdout);
	if (fork() == 0) {
		list_says(other, "list after fork", 0);
		fflush(stdout);
		execl(arguments[0], arguments[0], "77", (char *)0);
		_exit(1);
	}
	wait(NULL);

	call("lock, with argument", other, UV(4), buffer, 1);
	call("lock", other, UV(4), NULL, 0);
	call("lock again", other, UV(4), NULL, 0);
	memset(buffer, 0, sizeof buffer);
	call("add to the locked store", other, UV(2), buffer, 0x100);
	return 0;
}
