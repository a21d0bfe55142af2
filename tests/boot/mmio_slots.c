/*
 * Registers the virtio-mmio slots that a kernel's command line names, for a
 * kernel that was built without CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES.
 * device=SIZE@BASE:IRQ, as the parameter virtio_mmio.device.
 */
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/platform_device.h>

static struct platform_device *slot;

static int set_device(const char *text, const struct kernel_param *param)
{
	unsigned long size, base;
	unsigned int irq;
	struct resource resources[2] = {};

	if (sscanf(text, "%lu@%lx:%u", &size, &base, &irq) != 3)
		return -EINVAL;
	resources[0].flags = IORESOURCE_MEM;
	resources[0].start = base;
	resources[0].end = base + size - 1;
	resources[1].flags = IORESOURCE_IRQ;
	resources[1].start = resources[1].end = irq;
	slot = platform_device_register_simple("virtio-mmio", PLATFORM_DEVID_AUTO,
					       resources, 2);
	return PTR_ERR_OR_ZERO(slot);
}

static const struct kernel_param_ops ops = { .set = set_device };
module_param_cb(device, &ops, NULL, 0);
MODULE_LICENSE("GPL");
